"""U-Net, narrow and of three poolings, on synthetic slices, in minutes.

    python tools/make_data.py membranes data/synthetic/membranes \\
        --difficulty easy --train 40 --val 10

draws the slices; everything is trained from nothing.
"""
_base_ = './unet-narrow_1xb1-300_isbi2012-380x380.py'
crop_size = (284, 284)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(depth=3),
    test_cfg=dict(tile=(348, 348)))
data_root = 'data/synthetic/membranes'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        indices=None,
        pipeline=[
            *_base_.load, dict(_base_.border_weights, frequencies=None),
            _base_.elastic, _base_.turn,
            dict(type='mmdense.MirrorPad', context=44),
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='mmdense.PackWeightedSegInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img_path='val/image', seg_map_path='val/label'),
        indices=None))
test_dataloader = val_dataloader
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
