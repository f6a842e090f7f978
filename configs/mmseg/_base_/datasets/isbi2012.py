"""ISBI 2012, membranes in 30 electron-microscopy slices, for the U-Net.

`data/isbi2012/train/{image,label}/<n>.png`, 512x512, labels 0 membrane and
255 cell. The last five slices of the stack validate. The synthetic slices of
`tools/make_data.py membranes` lie in the same folders.

Training crops of 572x572 out of slices mirrored outwards by 92 pixels, which
is what U-Net's unpadded convolutions lose on each side: the crop's middle,
388x388, is always true.
"""
metainfo = dict(
    classes=('membrane', 'cell'), palette=[[0, 0, 0], [255, 255, 255]])
# One of three equal channels: read as grey, an image would do here, but not in
# mmseg's inferencer, which hands over three.
grey = dict(type='RandomGrayscale', prob=1., channel_weights=(1, 0, 0))
load = [
    dict(type='LoadImageFromFile'),
    grey,
    dict(type='mmdense.LoadLabels'),
    dict(type='mmdense.LabelsFromValues', values=[0, 255])
]
crop_size = (572, 572)
context = 92
border_weights = dict(
    type='mmdense.BorderWeights',
    # Of the 25 slices that train. For other data give its own, or None.
    frequencies=[0.224, 0.776],
    cache_dir='work_dirs/border_weights')
elastic = dict(type='mmdense.ElasticDeformation')
turn = dict(type='RandomRotFlip', rotate_prob=0, flip_prob=1)
# It always mirrors. Twice, half of the time: all eight orientations alike.
turn_again = dict(turn, flip_prob=0.5)
pad = dict(type='mmdense.MirrorPad', context=context)
crop = dict(type='RandomCrop', crop_size=crop_size)
train_pipeline = [
    *load, border_weights, elastic, turn, turn_again, pad, crop,
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
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        dataset,
        indices=[*range(18), *range(23, 30)],
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
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
        transforms=[[grey],
                    [
                        dict(type='RandomFlip', prob=0.),
                        dict(type='RandomFlip', prob=1.),
                        dict(
                            type='RandomFlip',
                            prob=1.,
                            direction='vertical')
                    ], [load[2]], [load[3]], [dict(type='PackSegInputs')]])
]
