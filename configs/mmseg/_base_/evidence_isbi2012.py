"""Data and schedule of the evidence recipes: ISBI 2012, 300 steps of two.

Every arm of a comparison inherits this file. In each step all learn from the
labels of two crops of 196x196 pixels, for which a network of unpadded
convolutions gets 380x380, or of 192x192, a multiple of the strides of one
that pads. Two slices at once, since batch norms over a single one shift
between training and test; small crops, since neighbours are alike and from
nothing it is steps that count. AdamW for the same reason.
"""
_base_ = [
    './datasets/isbi2012.py', 'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
tta_model = dict(type='mmdense.ProbabilityTTAModel')
crop_size = (192, 192)
augment = [_base_.elastic, _base_.turn, _base_.turn_again]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=[
        *_base_.load, *augment,
        dict(type='RandomCrop', crop_size=crop_size),
        dict(type='PackSegInputs')
    ]))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=300,
        by_epoch=False)
]
train_cfg = dict(max_iters=300, val_interval=300)
default_hooks = dict(
    checkpoint=dict(interval=150, max_keep_ckpts=1),
    check=dict(type='mmdense.CheckpointCheckHook'))
randomness = dict(seed=0)
