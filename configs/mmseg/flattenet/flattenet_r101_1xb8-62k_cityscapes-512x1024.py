"""FlatteNet, ResNet-101, Cityscapes 512x1024, on the paper's schedule.

Not in the paper.
"""
_base_ = [
    '../_base_/models/flattenet_r101.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
crop_size = (512, 1024)
model = dict(
    data_preprocessor=dict(size=crop_size), decode_head=dict(num_classes=19))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(2048, 1024),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=8, num_workers=8, dataset=dict(pipeline=train_pipeline))
