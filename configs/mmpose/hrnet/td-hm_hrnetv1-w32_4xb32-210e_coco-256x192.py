"""HRNetV1-W32, COCO 256x192, rotation and scaling as in its paper.

The host's recipe without its warm-up, for GPUs with 32 images each.
"""
_base_ = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
          'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py')

train_cfg = dict(max_epochs=210)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='MultiStepLR', end=210, milestones=[170, 200], by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=128)
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(
        type='RandomBBoxTransform',
        rotate_factor=45,
        scale_factor=(0.65, 1.35)),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=32, dataset=dict(pipeline=train_pipeline))
