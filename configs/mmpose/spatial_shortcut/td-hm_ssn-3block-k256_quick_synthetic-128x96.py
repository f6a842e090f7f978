"""Quick start: 3Block + 3FSM, from scratch, on synthetic people.

`python tools/make_data.py pose data/synthetic/pose --train 2000 --val 300
--size 192 144 --difficulty easy` writes the data. The offsets have a few
hundred iterations to find their places, not 400,000: they start wider and
learn faster.
"""
_base_ = [
    'td-hm_ssn-3block-k256_1xb16-400k_coco-256x192.py',
    '../_base_/synthetic_people.py'
]

train_cfg = dict(max_iters=400, val_interval=400)
optim_wrapper = dict(
    optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(custom_keys={'shift.offset': dict(lr_mult=5.0)}))
halving = dict(
    type='mmdense.GroupMultiStepLR',
    group='offset',
    inverse=True,
    milestones=[250, 300, 350],
    gamma=0.5,
    by_epoch=False)
param_scheduler = [
    halving,
    # An `end`, because mmengine takes a training counted in iterations for
    # one epoch, and would end the schedule after it.
    dict(
        type='mmdense.GroupStepLR',
        group='offset',
        step_size=1,
        gamma=0.9,
        end=1_000,
        convert_to_iter_based=True)
]
auto_scale_lr = None
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(
        interval=100, max_keep_ckpts=2, save_best=None, rule=None))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmdense.DelayedInsertionHook', begin=50),
    dict(type='mmdense.OffsetCheckHook', interval=100)
]
randomness = dict(seed=0)

model = dict(
    backbone=dict(shift=dict(offset_std=3.0)),
    head=dict(decoder=_base_.people_codec))

codec = _base_.people_codec
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.05,
        shift_prob=1.0,
        scale_factor=(0.75, 1.25),
        scale_prob=1.0,
        rotate_factor=30,
        rotate_prob=1.0),
    dict(type='TopdownAffine', input_size=_base_.people_codec.input_size),
    dict(type='GenerateTarget', encoder=_base_.people_codec),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=_base_.people_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=_base_.people_val)
test_dataloader = val_dataloader
val_evaluator = _base_.people_metrics
test_evaluator = val_evaluator
