"""SIFT Flow, 33 semantic classes, 2488 and 200 images of 256x256.

`data/sift_flow/images/*.jpg`, `data/sift_flow/semantic/*.png` (0 is void, 1
to 33 the classes) and the lists of names `data/sift_flow/{train,test}.txt`.
configs/mmseg/fcn/README.md says how to write the labels as pictures.
"""
crop_size = (256, 256)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs')
]
dataset = dict(
    type='mmdense.SIFTFlowDataset',
    data_root='data/sift_flow',
    data_prefix=dict(img_path='images', seg_map_path='semantic'),
    pipeline=pipeline)
train_dataloader = dict(
    batch_size=20,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(dataset, ann_file='train.txt'))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, ann_file='test.txt'))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmdense.SegmentationScores')
test_evaluator = val_evaluator
