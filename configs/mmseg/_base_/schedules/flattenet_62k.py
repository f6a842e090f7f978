"""Section IV-B: SGD at 4e-3, poly of power 0.9, 62 475 iterations.

That is 100 epochs of PASCAL-Context's 4998 training images in batches of 8.
"""
_base_ = 'mmseg::_base_/schedules/schedule_40k.py'
optim_wrapper = dict(optimizer=dict(lr=4e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=62475,
        by_epoch=False)
]
train_cfg = dict(max_iters=62475, val_interval=6250)
default_hooks = dict(
    checkpoint=dict(interval=6250),
    check=dict(type='mmdense.CheckpointCheckHook'))
