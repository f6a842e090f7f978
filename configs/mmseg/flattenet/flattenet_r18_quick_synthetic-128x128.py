"""FlatteNet, a narrow ResNet-18, on synthetic people, in minutes.

    python tools/make_data.py segmentation data/synthetic/people-masks \\
        --size 128 128 --difficulty easy --classes person

writes the images; everything is trained from nothing.
"""
_base_ = [
    '../_base_/models/flattenet_r101.py',
    '../_base_/datasets/synthetic_people.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        depth=18, stem_channels=32, base_channels=32, init_cfg=None),
    neck=dict(
        in_channels=256,
        layers=[
            dict(
                groups_first=16,
                groups_second=16,
                kernel_size=7,
                multiplier=2),
            dict(
                groups_first=16,
                groups_second=32,
                kernel_size=7,
                multiplier=4)
        ]),
    decode_head=dict(in_channels=32, channels=32, num_classes=2))

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
default_hooks = dict(checkpoint=dict(interval=400))
randomness = dict(seed=0)
