"""Data and schedule of the evidence recipes: CamVid, 160x120.

Every arm of a comparison inherits this file, so that the arms differ in the
network alone.
"""
_base_ = ['./datasets/camvid.py', 'mmseg::_base_/default_runtime.py']
scale = (160, 120)
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='Resize', scale=scale),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackSegInputs')
    ]))
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=scale),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs')
    ]))

train_cfg = dict(type='IterBasedTrainLoop', max_iters=400, val_interval=400)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# Rates and offsets are regressed by layers that learn at a tenth of the
# rate: at the full one the hidden units of ADC's regression died.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4),
    clip_grad=None,
    paramwise_cfg=dict(
        custom_keys=dict(
            rate_regression=dict(lr_mult=0.1, decay_mult=0),
            conv_offset=dict(lr_mult=0.1))))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=400,
        by_epoch=False)
]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=200,
        max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    check=dict(type='mmdense.CheckpointCheckHook'),
    movement=dict(type='mmdense.MovementHook'))
randomness = dict(seed=0)
