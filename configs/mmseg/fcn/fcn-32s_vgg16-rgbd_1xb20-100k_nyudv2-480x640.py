"""Table 4, "FCN-32s RGBD": early fusion, depth as a fourth input channel.

The first layer's weights for depth start as the mean of those for colours.
Mean and deviation of depth, in metres, are of a range of 0 to 10, not
measured on the set.
"""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/nyudv2_depth.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53, 5.],
        std=[58.395, 57.12, 57.375, 2.5],
        bgr_to_rgb=False),
    backbone=dict(classifier=dict(in_channels=4)),
    decode_head=dict(in_channels=[4, 4096], num_classes=40))
