"""U-Net, narrow and of three poolings, on synthetic cells that touch.

    python tools/make_data.py cells data/synthetic/cells --difficulty easy

draws the frames in the layout of the Cell Tracking Challenge; everything is
trained from nothing.
"""
_base_ = './unet_1xb1-20k_dic-hela-572x572.py'
crop_size = (284, 284)
model = dict(
    data_preprocessor=dict(mean=[119.], std=[12.], size=crop_size),
    backbone=dict(base_channels=16, depth=3),
    decode_head=dict(in_channels=16),
    test_cfg=dict(tile=(348, 348)))
data_root = 'data/synthetic/cells'
learn = [
    _base_.border_weights, _base_.elastic, _base_.turn, _base_.turn_again,
    dict(type='mmdense.MirrorPad', context=44),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='mmdense.PackWeightedSegInputs')
]
train_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=[*_base_.load, *learn]))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
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
train_cfg = dict(max_iters=400, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=400))
randomness = dict(seed=0)
