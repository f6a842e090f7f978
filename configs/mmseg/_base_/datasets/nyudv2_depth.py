"""NYU Depth v2 with depth, as red, green, blue, depth in metres (RGBD).

As ./nyudv2.py, and `data/nyudv2/depth/*.png`: 16 bits, millimetres, 0 where
depth is missing, the names of the images.
"""
_base_ = './nyudv2.py'
labels = dict(type='LoadAnnotations', reduce_zero_label=True)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdense.LoadDepth'),
    dict(type='mmdense.StackParts', parts=['colour', 'depth']), labels,
    dict(type='PackSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
