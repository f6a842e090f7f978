"""Data, schedule and metrics of the larger evidence recipes: LSP Extended.

Weights of ImageNet, crops of 192x144 of several sizes, a cosine schedule,
which keeps the multipliers of learning rates.
"""
_base_ = './evidence_lspet.py'

train_cfg = dict(max_epochs=3, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys=dict(
            backbone=dict(lr_mult=0.5),
            # Rates stay near 1 at a tenth: the page of LSP Extended.
            rate_regression=dict(lr_mult=2, decay_mult=0))))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        T_max=3,
        eta_min=1e-5,
        begin=0,
        end=3,
        convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=50))

codec = dict(
    type='MSRAHeatmap', input_size=(144, 192), heatmap_size=(36, 48), sigma=2)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_factor=30,
        rotate_prob=0.5,
        scale_factor=(0.75, 1.35),
        scale_prob=1),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
