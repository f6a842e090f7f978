"""Quick start: a narrow ResNet-18 with ADC, from scratch, synthetic people.

`python tools/make_data.py pose data/synthetic/adc-pose --difficulty easy`
writes the data.
"""
_base_ = 'td-hm_adc-res50_4xb32-140e_coco-256x192.py'

train_cfg = dict(max_epochs=20, val_interval=10)
# One learning rate for all: mmengine's OneCycleLR sets it over any lr_mult.
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=4e-3,
        total_steps=20,
        convert_to_iter_based=True)
]
auto_scale_lr = None
default_hooks = dict(logger=dict(interval=10))

codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)

model = dict(
    backbone=dict(
        backbone=dict(
            depth=18, stem_channels=16, base_channels=16, init_cfg=None),
        # A sixteenth of 16 channels would be a single unit.
        conv=dict(hidden_ratio=1 / 4)),
    head=dict(
        in_channels=128, deconv_out_channels=(32, 32, 32), decoder=codec))

data_root = 'data/synthetic/adc-pose/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', rotate_factor=30, scale_factor=(0.7, 1.3)),
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
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline))
val_ann_file = 'annotations/person_keypoints_val.json'
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file=val_ann_file,
        bbox_file=None,
        data_prefix=dict(img='images/'),
        pipeline=val_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + val_ann_file)
test_evaluator = val_evaluator
randomness = dict(seed=0)
