"""Data, schedule and backbone of the evidence recipes: CamVid, 160x120.

Every arm of a comparison inherits this file, so that the arms differ in the
network alone. Batches are padded to 160x128, a multiple of every stride here.
"""
_base_ = [
    './models/pyramid-attention_r101-d16.py', './datasets/camvid.py',
    'mmseg::_base_/default_runtime.py'
]
# Of a batch: its images, padded.
crop_size = (128, 160)
norm_cfg = dict(type='BN', requires_grad=True)
# mmseg's Normal(0, 0.01) right behind a ReLU makes small networks predict
# the commonest class alone: see ./models/flattenet_r101.py.
classifier_init = dict(
    type='Kaiming',
    mode='fan_in',
    nonlinearity='linear',
    override=dict(name='conv_seg'))
model = dict(
    pretrained=None,
    data_preprocessor=dict(
        size=None,
        size_divisor=32,
        seg_pad_val=_base_.void,
        test_cfg=dict(size_divisor=32)),
    # A quarter as wide.
    backbone=dict(
        depth=18, stem_channels=16, base_channels=16, norm_cfg=norm_cfg),
    decode_head=dict(
        in_channels=[16, 32, 64, 128],
        channels=64,
        attention=dict(pyramid_channels=64),
        num_classes=11,
        ignore_index=_base_.void,
        norm_cfg=norm_cfg,
        init_cfg=classifier_init))

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
    check=dict(type='mmdense.CheckpointCheckHook'))
randomness = dict(seed=0)
