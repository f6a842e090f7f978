"""A narrow ResNet-18 and pyramid attention, trained for evidence on CamVid.

Batches are padded to 160x128, a multiple of every stride here.
"""
_base_ = [
    './models/pyramid-attention_r101-d16.py', './evidence_camvid_training.py'
]
# Of a batch: its images, padded.
crop_size = (128, 160)
norm_cfg = dict(type='BN', requires_grad=True)
# mmseg's Normal(0, 0.01) right behind a ReLU makes small networks predict
# the commonest class alone: see ./models/flattenet_r101.py.
classifier_init = dict(
    type='Kaiming',
    mode='fan_in',
    nonlinearity='linear',
    override=dict(name='conv_seg'))
model = dict(
    pretrained=None,
    data_preprocessor=dict(
        size=None,
        size_divisor=32,
        seg_pad_val=_base_.void,
        test_cfg=dict(size_divisor=32)),
    # A quarter as wide.
    backbone=dict(
        depth=18, stem_channels=16, base_channels=16, norm_cfg=norm_cfg),
    decode_head=dict(
        in_channels=[16, 32, 64, 128],
        channels=64,
        attention=dict(pyramid_channels=64),
        num_classes=11,
        ignore_index=_base_.void,
        norm_cfg=norm_cfg,
        init_cfg=classifier_init))
