"""ISBI 2012, membranes in 30 electron-microscopy slices, for the U-Net.

`data/isbi2012/train/{image,label}/<n>.png`, 512x512, labels 0 membrane and
255 cell. The last five slices of the stack validate. The synthetic slices of
`tools/make_data.py membranes` lie in the same folders.
"""
_base_ = './unpadded_crops.py'
metainfo = dict(
    classes=('membrane', 'cell'), palette=[[0, 0, 0], [255, 255, 255]])
load = [
    dict(type='LoadImageFromFile'),
    _base_.grey,
    dict(type='mmdense.LoadLabels'),
    dict(type='mmdense.LabelsFromValues', values=[0, 255])
]
border_weights = dict(
    type='mmdense.BorderWeights',
    # Of the 25 slices that train. For other data give its own, or None.
    frequencies=[0.224, 0.776],
    cache_dir='work_dirs/border_weights')
train_pipeline = [
    *load, border_weights, _base_.elastic, _base_.turn, _base_.turn_again,
    _base_.pad, _base_.crop,
    dict(type='mmdense.PackWeightedSegInputs')
]
test_pipeline = [*load, dict(type='PackSegInputs')]
dataset = dict(
    type='mmdense.CellDataset',
    data_root='data/isbi2012',
    data_prefix=dict(img_path='train/image', seg_map_path='train/label'),
    img_suffix='.png',
    metainfo=metainfo)
# In the order of their names, 0, 1, 10, 11, ...: slices 25 to 29.
held_out = list(range(18, 23))
train_dataloader = dict(
    dataset=dict(
        dataset,
        indices=[*range(18), *range(23, 30)],
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(dataset, indices=held_out, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='mmdense.SegEvaluator',
    metrics=[
        dict(type='mmdense.MembraneMetric'),
        dict(type='IoUMetric', iou_metrics=['mIoU'])
    ])
test_evaluator = val_evaluator
# For `--tta`. Labels after the flips, so that they are those of the image.
tta_pipeline = [
    load[0],
    dict(
        type='TestTimeAug',
        transforms=[[_base_.grey],
                    [
                        dict(type='RandomFlip', prob=0.),
                        dict(type='RandomFlip', prob=1.),
                        dict(
                            type='RandomFlip',
                            prob=1.,
                            direction='vertical')
                    ], [load[2]], [load[3]], [dict(type='PackSegInputs')]])
]
