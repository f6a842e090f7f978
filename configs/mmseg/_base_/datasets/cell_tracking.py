"""A set of the Cell Tracking Challenge, for the U-Net: sequences 01 and 02.

`data/DIC-C2DH-HeLa/{01,02}/t000.tif` and `{01,02}_ST/SEG/man_seg000.tif` as
the challenge packs its training sets. Sequence 01 trains, 02 validates. From
the numbers of the cells come the mask, in which background parts cells that
touch, the weights of the loss and the true cells of SEG.
"""
_base_ = './unpadded_crops.py'
load = [
    dict(type='LoadImageFromFile'), _base_.grey,
    dict(type='mmdense.LoadInstances'),
    dict(type='mmdense.MaskFromInstances')
]
border_weights = dict(
    type='mmdense.BorderWeights', cache_dir='work_dirs/border_weights')
# From loaded labels to what the network learns from.
learn = [
    border_weights, _base_.elastic, _base_.turn, _base_.turn_again, _base_.pad,
    _base_.crop,
    dict(type='mmdense.PackWeightedSegInputs')
]
dataset = dict(
    type='mmdense.CellTrackingDataset', data_root='data/DIC-C2DH-HeLa')
train_dataloader = dict(
    dataset=dict(
        dataset,
        sequences=['01'],
        pipeline=[*load, *learn]))
val_dataloader = dict(
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
