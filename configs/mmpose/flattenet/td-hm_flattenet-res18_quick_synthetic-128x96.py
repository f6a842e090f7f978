"""Quick start: a narrow FlatteNet, from scratch, on synthetic people.

`python tools/make_data.py pose data/synthetic/pose --difficulty easy` writes
the data.
"""
_base_ = 'td-hm_flattenet-res50_8xb64-210e_coco-256x192.py'

train_cfg = dict(max_epochs=20, val_interval=5)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=4e-3,
        total_steps=20,
        convert_to_iter_based=True)
]
auto_scale_lr = None
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=4, save_best=None, rule=None))

codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)

model = dict(
    backbone=dict(
        depth=18, stem_channels=16, base_channels=16, init_cfg=None),
    neck=dict(
        in_channels=128,
        layers=[dict(groups_first=8, groups_second=16, multiplier=8)]),
    head=dict(in_channels=16, decoder=codec))

data_root = 'data/synthetic/pose/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_factor=30,
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
    batch_size=32,
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

val_evaluator = dict(
    _delete_=True, type='PCKAccuracy', thr=0.2, norm_item='bbox')
test_evaluator = val_evaluator
