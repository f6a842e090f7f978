"""Evidence: FCN-32s on a VGG16 an eighth as wide, from nothing.

Batches of 4: FCN pads images of 160x120 to 358x318. Without dropout, which
slows so short a training.
"""
_base_ = [
    '../../_base_/models/fcn-32s_vgg16.py',
    '../../_base_/evidence_camvid_training.py'
]
crop_size = (120, 160)
model = dict(
    data_preprocessor=dict(seg_pad_val=_base_.void),
    backbone=dict(
        classifier=dict(base_channels=8, fc_channels=512, dropout=0),
        init_cfg=None),
    decode_head=dict(
        in_channels=[3, 512], num_classes=11, ignore_index=_base_.void))
train_dataloader = dict(batch_size=4)
