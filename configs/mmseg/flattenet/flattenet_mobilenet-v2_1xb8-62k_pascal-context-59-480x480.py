"""FlatteNet, MobileNetV2, PASCAL-Context 59 classes, 480x480.

320 channels divide by neither 64 nor 128. Groups that multiply to the
channels, 320 and 1280, keep the paper's complementary condition.
"""
_base_ = './flattenet_r101_1xb8-62k_pascal-context-59-480x480.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        init_cfg=dict(type='Pretrained', checkpoint='mmcls://mobilenet_v2')),
    neck=dict(
        in_channels=320,
        layers=[
            dict(
                groups_first=16,
                groups_second=20,
                kernel_size=7,
                multiplier=4),
            dict(
                groups_first=32,
                groups_second=40,
                kernel_size=7,
                multiplier=4)
        ]),
    decode_head=dict(in_channels=80, channels=80))
