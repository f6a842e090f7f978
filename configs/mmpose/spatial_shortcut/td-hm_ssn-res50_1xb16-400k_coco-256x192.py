"""Spatial Shortcut Network, ResNet-50, COCO 256x192 (Tables 1 to 3).

Training as in Section 4. The epoch of "10 % after each epoch" is a pass over
the data: `convert_to_iter_based` counts it in iterations.
"""
_base_ = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
          'td-hm_res50_8xb64-210e_coco-256x192.py')

train_cfg = dict(
    _delete_=True,
    type='IterBasedTrainLoop',
    max_iters=400_000,
    val_interval=20_000)
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=5e-4),
    paramwise_cfg=dict(
        custom_keys={'shift.offset': dict(lr_mult=2.0, group='offset')}))
halving = dict(
    type='mmdense.GroupMultiStepLR',
    group='offset',
    inverse=True,
    milestones=[300_000, 330_000, 360_000, 390_000],
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
auto_scale_lr = dict(base_batch_size=16)
# The modules take no part in the first iterations.
find_unused_parameters = True
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=20_000, max_keep_ckpts=5),
    check=dict(type='mmdense.CheckpointCheckHook'))
# Not default hooks: mmengine cannot take one of those back (None).
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmdense.DelayedInsertionHook', begin=6_000),
    dict(type='mmdense.OffsetCheckHook', interval=1_000)
]
log_processor = dict(by_epoch=False)

norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    # Those of the pretrained weights, which are Caffe's.
    data_preprocessor=dict(
        mean=[103.530, 116.280, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False),
    backbone=dict(
        type='mmdense.ShiftResNet',
        norm_cfg=norm_cfg,
        out_indices=(0, 1, 2, 3),
        shift=dict(shift_channels=512, attention='softplus'),
        first_shift_channels=256,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='open-mmlab://detectron/resnet50_gn')),
    neck=dict(
        type='mmdense.GlobalNeck',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        early=3),
    head=dict(
        _delete_=True,
        type='mmdense.MultiPredictorHead',
        in_channels=256,
        out_channels=17,
        early_channels=[256, 512, 1024],
        decoder={{_base_.codec}}))

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
    dict(type='TopdownAffine', input_size={{_base_.codec.input_size}}),
    dict(type='GenerateTarget', encoder={{_base_.codec}}),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=16, dataset=dict(pipeline=train_pipeline))

val_evaluator = dict(nms_mode='soft_oks_nms')
test_evaluator = val_evaluator
