"""HRNetV2-W48, Cityscapes 512x1024 (Table 3)."""
_base_ = [
    '../_base_/models/hrnetv2_w48.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_160k.py'
]
crop_size = (512, 1024)
model = dict(data_preprocessor=dict(size=crop_size))
# Cropping, scaling by 0.5 to 2 and flips, nothing else.
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
    batch_size=3, dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=120000,
        by_epoch=False)
]
train_cfg = dict(max_iters=120000, val_interval=12000)
default_hooks = dict(
    checkpoint=dict(interval=12000),
    check=dict(type='mmdense.CheckpointCheckHook'))
