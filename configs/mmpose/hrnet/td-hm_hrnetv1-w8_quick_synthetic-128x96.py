"""Quick start: HRNetV1-W8, from scratch, on synthetic people.

`python tools/make_data.py pose data/synthetic/pose --train 2000 --val 300
--size 192 144 --difficulty easy` writes the data.
"""
_base_ = 'td-hm_hrnetv1-w32_4xb32-210e_coco-256x192.py'

train_cfg = dict(max_epochs=10, val_interval=5)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=10,
        convert_to_iter_based=True)
]
auto_scale_lr = None
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        interval=1, max_keep_ckpts=2, save_best=None, rule=None))
randomness = dict(seed=0)

codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2)

streams = (8, 16, 32, 64)
model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(2, ), num_channels=(16, )),
            stage2=dict(num_blocks=(2, 2), num_channels=streams[:2]),
            stage3=dict(
                num_modules=1, num_blocks=(2, 2, 2),
                num_channels=streams[:3]),
            stage4=dict(
                num_modules=1,
                num_blocks=(2, 2, 2, 2),
                num_channels=streams)),
        init_cfg=None),
    head=dict(in_channels=8, decoder=codec))

data_root = 'data/synthetic/pose/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_factor=15,
        scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        bbox_file=None,
        data_prefix=dict(img='images/'),
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# Predicting the same average person everywhere is right for most joints at
# 0.2 of the box: 0.1 tells more.
val_evaluator = [
    dict(type='PCKAccuracy', thr=0.2, norm_item='bbox'),
    dict(type='PCKAccuracy', thr=0.1, norm_item='bbox', prefix='0.1')
]
test_evaluator = val_evaluator
