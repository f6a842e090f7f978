"""Pyramid Attention Network, ResNet-101 at stride 16, VOC 2012 aug 512x512.

Section 4.1 and Table 5. The paper states neither the number of iterations
nor of GPUs. `--tta` tests at six scales with flips, the table's last row.
"""
_base_ = [
    '../_base_/models/pyramid-attention_r101-d16.py',
    'mmseg::_base_/datasets/pascal_voc12_aug.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_40k.py'
]
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
crop_size = (512, 512)
model = dict(data_preprocessor=dict(size=crop_size))
# Section 4: scaling by 0.5 to 2 and flips, nothing else. The paper scales the
# images themselves, whose longer side is 500 pixels, and tests them as they
# are; mmseg enlarges their shorter side to 512 before both.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(500, 500),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=16,
    dataset=dict(datasets=[
        dict(_base_.dataset_train, pipeline=train_pipeline),
        dict(_base_.dataset_aug, pipeline=train_pipeline)
    ]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=4e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=40000,
        by_epoch=False)
]
