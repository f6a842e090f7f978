"""Quick start: CenterNet on a narrow ResNet-18 with ADC, synthetic scenes.

    python tools/make_data.py detection data/synthetic/adc-detection \\
        --size 128 160 --difficulty easy --classes person car bottle chair

writes the images; everything is trained from nothing.
"""
_base_ = 'centernet_adc-r18_8xb16-crop512-140e_coco.py'

classes = ('person', 'car', 'bottle', 'chair')
model = dict(
    backbone=dict(
        backbone=dict(stem_channels=16, base_channels=16, init_cfg=None)),
    neck=dict(in_channels=128, num_deconv_filters=(64, 32, 32)),
    bbox_head=dict(
        num_classes=len(classes), in_channels=32, feat_channels=32))

data_root = 'data/synthetic/adc-detection/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(160, 128), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        times=1,
        dataset=dict(
            data_root=data_root,
            metainfo=dict(classes=classes),
            ann_file='annotations/instances_train.json',
            data_prefix=dict(img='VOC2007/JPEGImages/'),
            filter_cfg=dict(min_size=1),
            pipeline=train_pipeline)))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='VOC2007/JPEGImages/')))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator

# Adam, because 8 epochs of so few images are too short for SGD from nothing.
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=2e-3))
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=8,
        convert_to_iter_based=True)
]
auto_scale_lr = None
train_cfg = dict(max_epochs=8, val_interval=8)
default_hooks = dict(logger=dict(interval=10))
randomness = dict(seed=0)
