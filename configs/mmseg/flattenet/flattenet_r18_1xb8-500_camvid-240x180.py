"""FlatteNet, a narrow ResNet-18, CamVid at 240x180, from nothing, in minutes.

180 is no multiple of 32: the batches are padded to 192 rows of void.
"""
_base_ = [
    '../_base_/models/flattenet_r101.py', '../_base_/datasets/camvid.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
crop_size = (180, 240)
model = dict(
    data_preprocessor=dict(size_divisor=32, seg_pad_val=_base_.void),
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
                multiplier=8)
        ]),
    decode_head=dict(
        in_channels=64,
        channels=64,
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
default_hooks = dict(checkpoint=dict(interval=500))
randomness = dict(seed=0)
