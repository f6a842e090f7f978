"""FlatteNet, a narrow ResNet-18, on synthetic people, in minutes.

    python tools/make_data.py segmentation data/synthetic/people-masks \\
        --size 128 128 --difficulty easy --classes person

writes the images; everything is trained from nothing.
"""
_base_ = [
    '../_base_/models/flattenet_r101.py',
    'mmseg::_base_/datasets/pascal_voc12.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
crop_size = (128, 128)
model = dict(
    data_preprocessor=dict(size=crop_size),
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
dataset = dict(
    type='BaseSegDataset',
    metainfo=dict(
        classes=('background', 'person'),
        palette=[[0, 0, 0], [192, 128, 128]]),
    data_root='data/synthetic/people-masks/VOC2012')
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(dataset, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1, dataset=dict(dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

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
