"""Evidence: FlatteNet on the same ResNet-18, undilated, at stride 32.

A quarter as wide, it keeps how many channels a group has in the paper's
network (64, 32; 64, 64), not how many groups there are; and 3x3 of a map of
4x5 are what 7x7 are of the paper's 15x15.
"""
_base_ = '../../_base_/evidence_camvid.py'
model = dict(
    backbone=dict(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1)),
    neck=dict(
        type='mmdense.FlatteningNeck',
        in_channels=128,
        upscale=8,
        layers=[
            dict(
                groups_first=2,
                groups_second=4,
                kernel_size=3,
                multiplier=2),
            dict(
                groups_first=4,
                groups_second=4,
                kernel_size=3,
                multiplier=16)
        ]),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        in_index=0,
        channels=64,
        num_convs=0,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0,
        num_classes=11,
        ignore_index=_base_.void,
        init_cfg=_base_.classifier_init,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
