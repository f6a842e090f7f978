"""A set of the Cell Tracking Challenge, for the U-Net: sequences 01 and 02.

`data/DIC-C2DH-HeLa/{01,02}/t000.tif` and `{01,02}_ST/SEG/man_seg000.tif` as
the challenge packs its training sets. Sequence 01 trains, 02 validates. From
the numbers of the cells come the mask, in which background parts cells that
touch, the weights of the loss and the true cells of SEG.
"""
# One of three equal channels: see ./isbi2012.py.
grey = dict(type='RandomGrayscale', prob=1., channel_weights=(1, 0, 0))
load = [
    dict(type='LoadImageFromFile'), grey,
    dict(type='mmdense.LoadInstances'),
    dict(type='mmdense.MaskFromInstances')
]
crop_size = (572, 572)
context = 92
border_weights = dict(
    type='mmdense.BorderWeights', cache_dir='work_dirs/border_weights')
elastic = dict(type='mmdense.ElasticDeformation')
turn = dict(type='RandomRotFlip', rotate_prob=0, flip_prob=1)
# It always mirrors. Twice, half of the time: all eight orientations alike.
turn_again = dict(turn, flip_prob=0.5)
pad = dict(type='mmdense.MirrorPad', context=context)
crop = dict(type='RandomCrop', crop_size=crop_size)
# From loaded labels to what the network learns from.
learn = [
    border_weights, elastic, turn, turn_again, pad, crop,
    dict(type='mmdense.PackWeightedSegInputs')
]
dataset = dict(
    type='mmdense.CellTrackingDataset', data_root='data/DIC-C2DH-HeLa')
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        dataset,
        sequences=['01'],
        pipeline=[*load, *learn]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        dataset,
        sequences=['02'],
        pipeline=[*load, dict(type='mmdense.PackInstanceSegInputs')]))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='mmdense.SegEvaluator',
    metrics=[
        dict(type='mmdense.CellOverlapMetric'),
        dict(type='IoUMetric', iou_metrics=['mIoU'])
    ])
test_evaluator = val_evaluator
