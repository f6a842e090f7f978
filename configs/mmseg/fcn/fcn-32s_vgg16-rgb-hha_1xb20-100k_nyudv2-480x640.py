"""Table 4, "FCN-32s RGB-HHA": late fusion, the sum of two networks' scores.

Both streams start from the classifier and are trained together.
"""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/nyudv2_rgb-hha.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
stream = dict(
    type='mmdense.ConvolutionalClassifier',
    classifier=dict(type='VGG16'),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrain/vgg16_fully-convolutional.pth'))
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53, 127.5, 127.5, 127.5],
        std=[58.395, 57.12, 57.375, 57., 57., 57.],
        bgr_to_rgb=False),
    backbone=dict(
        _delete_=True,
        type='mmdense.LateFusion',
        streams=[stream, stream],
        channels=[3, 3]),
    # The images and both fc7.
    decode_head=dict(in_channels=[6, 8192], num_classes=40))
