"""HRNetV2-W48, PASCAL-Context with background, 480x480 (Table 5)."""
_base_ = [
    '../_base_/models/hrnetv2_w48.py',
    'mmseg::_base_/datasets/pascal_context.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/hrnet_60k.py'
]
crop_size = (480, 480)
model = dict(
    data_preprocessor=dict(size=crop_size), decode_head=dict(num_classes=60))
# Cropping, scaling by 0.5 to 2 and flips, nothing else.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(520, 520),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
