"""Pyramid Attention Network, ResNet-18, CamVid at 240x180, from nothing.

A budget of minutes on two cores, to compare heads on one backbone:
`fcn_r18-d16` and `pspnet_r18-d16` beside this file differ in the head alone.
"""
_base_ = [
    '../_base_/models/pyramid-attention_r101-d16.py',
    '../_base_/datasets/camvid.py', 'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(180, 240), seg_pad_val=_base_.void),
    backbone=dict(depth=18, stem_channels=64),
    decode_head=dict(
        in_channels=[64, 128, 256, 512],
        channels=128,
        attention=dict(pyramid_channels=128),
        num_classes=11,
        ignore_index=_base_.void))
# AdamW, because 500 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=500,
        by_epoch=False)
]
train_cfg = dict(max_iters=500, val_interval=500)
default_hooks = dict(
    checkpoint=dict(interval=500),
    check=dict(type='mmdense.CheckpointCheckHook'))
randomness = dict(seed=0)
