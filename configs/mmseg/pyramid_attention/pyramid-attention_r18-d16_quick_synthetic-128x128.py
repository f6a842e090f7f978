"""Pyramid Attention Network, ResNet-18, on synthetic scenes, in minutes.

    python tools/make_data.py segmentation data/synthetic/segmentation \\
        --size 128 128 --difficulty easy

writes the images; everything is trained from nothing.
"""
_base_ = [
    '../_base_/models/pyramid-attention_r101-d16.py',
    '../_base_/datasets/synthetic_scenes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(depth=18, stem_channels=64),
    decode_head=dict(
        in_channels=[64, 128, 256, 512],
        channels=64,
        attention=dict(pyramid_channels=64)))
# AdamW, because 400 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=400,
        by_epoch=False)
]
train_cfg = dict(max_iters=400, val_interval=400)
default_hooks = dict(
    checkpoint=dict(interval=400),
    check=dict(type='mmdense.CheckpointCheckHook'))
randomness = dict(seed=0)
