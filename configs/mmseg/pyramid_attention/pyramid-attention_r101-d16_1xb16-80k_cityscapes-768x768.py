"""Pyramid Attention Network, ResNet-101 at stride 16, Cityscapes 768x768.

Section 4.3: fine annotations, no coarse ones. The paper states no number of
iterations.
"""
_base_ = [
    '../_base_/models/pyramid-attention_r101-d16.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_80k.py'
]
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
crop_size = (768, 768)
model = dict(
    data_preprocessor=dict(size=crop_size), decode_head=dict(num_classes=19))
# Section 4: scaling by 0.5 to 2 and flips, nothing else.
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
    batch_size=16, num_workers=8, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(lr=4e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=80000,
        by_epoch=False)
]
