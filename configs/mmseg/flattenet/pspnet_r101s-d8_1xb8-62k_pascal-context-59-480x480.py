"""PSPNet with the network counted in Table VIII, on FlatteNet's schedule.

Its stem has 64, 64 and 128 channels where mmseg's ResNetV1c has half:
configs/mmseg/pyramid_attention/README.md makes the weights of this one.
"""
_base_ = [
    'mmseg::_base_/models/pspnet_r50-d8.py',
    '../_base_/datasets/pascal_context_59_scale.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
crop_size = (480, 480)
model = dict(
    data_preprocessor=dict(size=crop_size),
    pretrained='pretrain/resnet101s.pth',
    backbone=dict(depth=101, stem_channels=128),
    decode_head=dict(num_classes=59),
    auxiliary_head=dict(num_classes=59),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(320, 320)))
