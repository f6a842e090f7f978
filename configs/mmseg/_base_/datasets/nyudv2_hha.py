"""NYU Depth v2 with depth encoded as HHA in place of colour.

The files are those of ./nyudv2_depth.py.
"""
_base_ = './nyudv2.py'
labels = dict(type='LoadAnnotations', reduce_zero_label=True)
load = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdense.LoadDepth'),
    dict(type='mmdense.EncodeHHA')
]
pipeline = [
    *load,
    dict(type='mmdense.StackParts', parts=['hha']), labels,
    dict(type='PackSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
