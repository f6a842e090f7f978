"""CenterNet with FlatteNet, a narrow ResNet-18, on blood cells, 192x160.

364 images of three kinds of cells in the layout of VOC 2007, in
`data/bccd/VOCdevkit`: 20 epochs from nothing, a matter of minutes.
"""
_base_ = './centernet-flattenet_r18_quick_synthetic.py'

train_cfg = dict(max_epochs=20, val_interval=20)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=20,
        convert_to_iter_based=True)
]
default_hooks = dict(
    checkpoint=dict(interval=10), logger=dict(interval=10))

train_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='LoadAnnotations', with_bbox=True),
    # Two boxes of this set have no area.
    dict(
        type='FilterAnnotations', min_gt_bbox_wh=(0, 0), keep_empty=False),
    dict(
        type='RandomCenterCropPad',
        crop_size=(640, 512),
        ratios=(0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4),
        test_pad_mode=None,
        **_base_.padding),
    dict(type='Resize', scale=(192, 160), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
resize = dict(type='Resize', scale=(192, 160), keep_ratio=True)
test_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True), resize, _base_.pad,
    dict(type='LoadAnnotations', with_bbox=True), _base_.pack
]
tta_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='RandomFlip', prob=0.),
            dict(type='RandomFlip', prob=1.)
        ], [resize], [_base_.pad],
                    [dict(type='LoadAnnotations', with_bbox=True)],
                    [_base_.pack]])
]
bccd = dict(
    metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
    data_root='data/bccd/VOCdevkit/')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        bccd,
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        bccd,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
