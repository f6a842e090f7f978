"""HRNetV2-W48, the LIP parts of people, 473x473 (Table 6)."""
_base_ = [
    '../_base_/models/hrnetv2_w48.py', '../_base_/datasets/lip.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_160k.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=20))
optim_wrapper = dict(optimizer=dict(lr=0.007))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=110000,
        by_epoch=False)
]
train_cfg = dict(max_iters=110000, val_interval=11000)
default_hooks = dict(
    checkpoint=dict(interval=11000),
    check=dict(type='mmdense.CheckpointCheckHook'))
