"""PASCAL-Context, 59 classes and background, whole images of up to 500x500."""
_base_ = 'mmseg::_base_/datasets/pascal_context.py'
crop_size = (500, 500)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(batch_size=20, dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmdense.SegmentationScores')
test_evaluator = val_evaluator
