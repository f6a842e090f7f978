"""Data, schedule and metrics of the evidence recipes: LSP Extended, 96x96.

Every arm of a comparison inherits this file, so that the arms differ in the
network alone. The batches come from the training process itself: decoding a
small picture takes less time than handing it over.
"""
_base_ = ['mmpose::_base_/default_runtime.py', './lspet.py']

train_cfg = dict(by_epoch=True, max_epochs=4, val_interval=4)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-3))
# One learning rate for all, also for what regresses rates and offsets:
# mmengine's OneCycleLR sets it over any lr_mult.
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=3e-3,
        total_steps=4,
        convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=1, max_keep_ckpts=1),
    check=dict(type='mmdense.CheckpointCheckHook'),
    movement=dict(type='mmdense.MovementHook'))
randomness = dict(seed=0)

codec = dict(
    type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24), sigma=2)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
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
dataset = dict(
    type='CocoDataset',
    data_root='data/lspet/',
    data_mode='topdown',
    data_prefix=dict(img='images/'),
    metainfo=_base_.dataset_info)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        dataset, ann_file='annotations/train.json', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        dataset,
        ann_file='annotations/val.json',
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmdense.TorsoPCK', thr=0.2, prefix='0.2'),
    dict(type='mmdense.TorsoPCK', thr=0.1, prefix='0.1'),
    dict(type='CocoMetric', ann_file='data/lspet/annotations/val.json')
]
test_evaluator = val_evaluator
