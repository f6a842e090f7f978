"""EncNet with the network counted in Table VIII, on FlatteNet's schedule.

ResNet-101 with its plain 7x7 stem, and EncNet's lateral connections.
"""
_base_ = [
    'mmseg::_base_/models/encnet_r50-d8.py',
    '../_base_/datasets/pascal_context_59_scale.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
crop_size = (480, 480)
model = dict(
    data_preprocessor=dict(size=crop_size),
    pretrained='torchvision://resnet101',
    backbone=dict(type='ResNet', depth=101),
    decode_head=dict(num_classes=59, add_lateral=True),
    auxiliary_head=dict(num_classes=59),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(320, 320)))
