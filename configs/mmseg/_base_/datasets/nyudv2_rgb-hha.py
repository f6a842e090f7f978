"""NYU Depth v2, red, green, blue and behind them HHA: six channels.

The files are those of ./nyudv2_depth.py.
"""
_base_ = './nyudv2_hha.py'
pipeline = [
    *_base_.load,
    dict(type='mmdense.StackParts', parts=['colour', 'hha']), _base_.labels,
    dict(type='PackSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
