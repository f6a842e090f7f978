"""HRNetV2's schedule on PASCAL-Context: 60k iterations of 16 images."""
_base_ = 'mmseg::_base_/schedules/schedule_80k.py'
optim_wrapper = dict(optimizer=dict(lr=0.004, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=60000,
        by_epoch=False)
]
train_cfg = dict(max_iters=60000, val_interval=6000)
default_hooks = dict(
    checkpoint=dict(interval=6000),
    check=dict(type='mmdense.CheckpointCheckHook'))
