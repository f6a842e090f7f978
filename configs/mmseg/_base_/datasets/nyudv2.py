"""NYU Depth v2, colour images, 40 classes; the official 795 and 654 images.

`data/nyudv2/images/*.jpg`, `data/nyudv2/labels/*.png` (0 is void, 1 to 40 the
classes) and the lists of names `data/nyudv2/{train,test}.txt`.
"""
crop_size = (480, 640)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs')
]
dataset = dict(
    type='mmdense.NYUDv2Dataset',
    data_root='data/nyudv2',
    data_prefix=dict(img_path='images', seg_map_path='labels'),
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
