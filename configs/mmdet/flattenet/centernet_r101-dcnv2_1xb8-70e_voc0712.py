"""CenterNet, ResNet-101, three deconvolutions, VOC07+12 at 512x512.

The rival of Table X, on Section IV-C's schedule. `--tta` is the flip test.
"""
_base_ = 'mmdet::centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py'

model = dict(
    # A map at stride 32 covers whole multiples of 32 pixels.
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')),
    neck=dict(in_channels=2048),
    bbox_head=dict(num_classes=20))

train_cfg = dict(max_epochs=70, val_interval=5)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=1.25e-4), clip_grad=None)
param_scheduler = [
    dict(type='MultiStepLR', end=70, milestones=[45, 60], by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    check=dict(type='mmdense.CheckpointCheckHook'))

data_root = 'data/VOCdevkit/'
padding = dict(mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    # A box without area is no object, and one at the border has its centre
    # in no crop: where it is alone, the crop would be sought for ever.
    dict(
        type='FilterAnnotations', min_gt_bbox_wh=(0, 0), keep_empty=False),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18),
    dict(
        type='RandomCenterCropPad',
        crop_size=(512, 512),
        ratios=(0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4),
        test_pad_mode=None,
        **padding),
    dict(type='Resize', scale=(512, 512), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
# The longer side becomes 512, the shorter one is padded on both sides.
resize = dict(type='Resize', scale=(512, 512), keep_ratio=True)
pad = dict(
    type='RandomCenterCropPad',
    ratios=None,
    border=None,
    test_mode=True,
    test_pad_mode=['size_divisor', 512],
    **padding)
pack = dict(
    type='PackDetInputs',
    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
               'flip', 'flip_direction', 'border'))
test_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True), resize, pad,
    dict(type='LoadAnnotations', with_bbox=True), pack
]
tta_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='RandomFlip', prob=0.),
            dict(type='RandomFlip', prob=1.)
        ], [resize], [pad], [dict(type='LoadAnnotations', with_bbox=True)],
                    [pack]])
]

# Small boxes stay: mmdet's own VOC recipes ignore those under 32 pixels.
filter_cfg = dict(filter_empty_gt=True, min_size=32)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        # The years differ in it, and one metainfo is wanted.
        ignore_keys=['dataset_type'],
        datasets=[
            dict(
                type='VOCDataset',
                data_root=data_root,
                ann_file=f'{year}/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root=f'{year}/'),
                filter_cfg=filter_cfg,
                pipeline=train_pipeline) for year in ('VOC2007', 'VOC2012')
        ]))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='VOCDataset',
        data_root=data_root,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True, type='VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = val_evaluator
