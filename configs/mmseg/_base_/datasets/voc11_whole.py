"""PASCAL VOC 2011, whole images as they are, of up to 500x500.

Its layout is that of 2012: `data/VOCdevkit/VOC2011`.
"""
_base_ = 'mmseg::_base_/datasets/pascal_voc12.py'
crop_size = (500, 500)
data_root = 'data/VOCdevkit/VOC2011'
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=20, dataset=dict(data_root=data_root, pipeline=pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmdense.SegmentationScores')
test_evaluator = val_evaluator
