"""SGD at a fixed rate, that of VGG16, momentum 0.9; 100 000 iterations.

The lecture says "a fixed learning rate" and no more; these are Section 4.3 of
the CVPR paper. Its length is the authors' published solver's.
"""
_base_ = 'mmseg::_base_/schedules/schedule_40k.py'
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(bias_lr_mult=2., bias_decay_mult=0.))
param_scheduler = []
train_cfg = dict(max_iters=100000, val_interval=4000)
default_hooks = dict(
    check=dict(type='mmdense.CheckpointCheckHook'),
    fine_tuning=dict(type='mmdense.FineTuningCheckHook'))
