"""Quick start: FCN on a narrow ResNet-50 with ADC, on synthetic scenes.

    python tools/make_data.py segmentation data/synthetic/segmentation \\
        --size 128 128 --difficulty easy

writes the images; everything is trained from nothing.
"""
_base_ = 'fcn_adc-r50-d8_4xb2-40k_cityscapes-769x769.py'

crop_size = (128, 128)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=crop_size),
    backbone=dict(stem_channels=16, base_channels=16, norm_cfg=norm_cfg),
    decode_head=dict(
        in_channels=512,
        channels=64,
        num_classes=21,
        norm_cfg=norm_cfg,
        # mmseg's Normal(0, 0.01) behind a ReLU leaves the rarer classes to
        # the bias alone when Adam takes the first steps.
        init_cfg=dict(
            type='Kaiming',
            mode='fan_in',
            nonlinearity='linear',
            override=dict(name='conv_seg'))),
    auxiliary_head=None,
    test_cfg=dict(_delete_=True, mode='whole'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
dataset = dict(
    type='PascalVOCDataset',
    data_root='data/synthetic/segmentation/VOC2012',
    data_prefix=dict(
        img_path='JPEGImages', seg_map_path='SegmentationClass'))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        **dataset,
        ann_file='ImageSets/Segmentation/train.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        **dataset,
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline))
test_dataloader = val_dataloader

# AdamW, because 300 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type='PolyLR', eta_min=0, power=0.9, end=300, by_epoch=False)
]
train_cfg = dict(max_iters=300, val_interval=300)
default_hooks = dict(checkpoint=dict(interval=300))
randomness = dict(seed=0)
