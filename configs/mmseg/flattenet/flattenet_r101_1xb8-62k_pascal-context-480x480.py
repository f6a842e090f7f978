"""FlatteNet, ResNet-101, PASCAL-Context with background: 60 classes."""
_base_ = './flattenet_r101_1xb8-62k_pascal-context-59-480x480.py'
model = dict(decode_head=dict(num_classes=60))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(520, 520),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(520, 520), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(type='PascalContextDataset', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(type='PascalContextDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader
