"""Synthetic scenes in VOC's layout and 21 classes, 128x128.

    python tools/make_data.py segmentation data/synthetic/segmentation \\
        --size 128 128 --difficulty easy

writes the images.
"""
_base_ = 'mmseg::_base_/datasets/pascal_voc12.py'
crop_size = (128, 128)
data_root = 'data/synthetic/segmentation/VOC2012'
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
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
