"""HRNetV2-W8, masks of synthetic people, in minutes.

    python tools/make_data.py segmentation data/synthetic/people-masks \\
        --size 128 128 --difficulty easy --classes person

writes the images; everything is trained from nothing.
"""
_base_ = [
    '../_base_/models/hrnetv2_w48.py',
    '../_base_/datasets/synthetic_people.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
streams = (8, 16, 32, 64)
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        init_cfg=None,
        norm_cfg=norm_cfg,
        extra=dict(
            stage1=dict(num_blocks=(2, ), num_channels=(16, )),
            stage2=dict(num_blocks=(2, 2), num_channels=streams[:2]),
            stage3=dict(
                num_modules=1, num_blocks=(2, 2, 2),
                num_channels=streams[:3]),
            stage4=dict(
                num_modules=1,
                num_blocks=(2, 2, 2, 2),
                num_channels=streams))),
    decode_head=dict(
        in_channels=list(streams), num_classes=2, norm_cfg=norm_cfg))

# AdamW, because 400 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=2e-3, weight_decay=1e-4))
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
