"""CenterNet with FlatteNet, a narrow ResNet-18, 128x128, in minutes.

    python tools/make_data.py detection data/synthetic/detection \\
        --size 128 128 --difficulty easy --classes car cat person

writes the images; everything is trained from nothing.
"""
_base_ = './centernet-flattenet_r101-dcnv2_1xb8-70e_voc0712.py'

model = dict(
    backbone=dict(
        depth=18,
        stem_channels=32,
        base_channels=32,
        dcn=None,
        stage_with_dcn=(False, False, False, False),
        init_cfg=None),
    neck=dict(
        in_channels=256,
        layers=[
            dict(
                groups_first=16,
                groups_second=16,
                kernel_size=5,
                multiplier=8)
        ]),
    bbox_head=dict(num_classes=3, in_channels=32, feat_channels=32))

train_cfg = dict(max_epochs=12, val_interval=12)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=12,
        convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=4))
randomness = dict(seed=0)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='FilterAnnotations', min_gt_bbox_wh=(0, 0), keep_empty=False),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
resize = dict(type='Resize', scale=(128, 128), keep_ratio=True)
pad = dict(
    type='RandomCenterCropPad',
    ratios=None,
    border=None,
    test_mode=True,
    test_pad_mode=['size_divisor', 32],
    **_base_.padding)
test_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True), resize, pad,
    dict(type='LoadAnnotations', with_bbox=True), _base_.pack
]
tta_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='RandomFlip', prob=0.),
            dict(type='RandomFlip', prob=1.)
        ], [resize], [pad], [dict(type='LoadAnnotations', with_bbox=True)],
                    [_base_.pack]])
]
# XMLDataset, because VOCDataset's results are printed under VOC's own names.
dataset = dict(
    type='XMLDataset',
    metainfo=dict(classes=('car', 'cat', 'person')),
    data_root='data/synthetic/detection/',
    data_prefix=dict(sub_data_root='VOC2007/'))
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        dataset,
        _delete_=True,
        ann_file='VOC2007/ImageSets/Main/train.txt',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        dataset,
        _delete_=True,
        ann_file='VOC2007/ImageSets/Main/val.txt',
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
