"""HRNetV2-W48, PASCAL-Context without background, 480x480 (Table 5)."""
_base_ = [
    '../_base_/models/hrnetv2_w48.py',
    '../_base_/datasets/pascal_context_59_scale.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_80k.py'
]
crop_size = (480, 480)
model = dict(
    data_preprocessor=dict(size=crop_size), decode_head=dict(num_classes=59))
train_dataloader = dict(batch_size=4)
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
