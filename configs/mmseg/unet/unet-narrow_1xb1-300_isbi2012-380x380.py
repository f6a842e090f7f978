"""U-Net a quarter as wide, on smaller tiles of ISBI 2012, minutes on a CPU.

`padded-unet-narrow` and `fcn-8s-narrow` beside this file have the same
slices, iterations and optimiser.
"""
_base_ = './unet_1xb1-20k_isbi2012-572x572.py'
crop_size = (380, 380)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(base_channels=16),
    decode_head=dict(in_channels=16),
    # A slice in one tile.
    test_cfg=dict(tile=(700, 700)))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, _base_.border_weights, _base_.elastic, _base_.turn,
        _base_.pad,
        dict(type='RandomCrop', crop_size=crop_size),
        dict(type='mmdense.PackWeightedSegInputs')
    ]))
# AdamW, because 300 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=300,
        by_epoch=False)
]
train_cfg = dict(max_iters=300, val_interval=300)
default_hooks = dict(checkpoint=dict(interval=300))
randomness = dict(seed=0)
