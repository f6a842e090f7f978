"""FlatteNet, ResNet-50, MPII 256x256: the paper's default (Tables I, III).

Schedule and augmentation as in Section IV-A. The paper names neither a
warm-up nor the share of images that are rotated: none, and the host's 0.6.
"""
_base_ = ('mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
          'td-hm_res50_8xb64-210e_mpii-256x256.py')

train_cfg = dict(max_epochs=140)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='MultiStepLR', end=140, milestones=[90, 120], by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(
    checkpoint=dict(save_best='PCKh@0.5'),
    check=dict(type='mmdense.CheckpointCheckHook'))

model = dict(
    neck=dict(
        type='mmdense.FlatteningNeck',
        in_channels=2048,
        upscale=8,
        layers=[dict(groups_first=32, groups_second=64, kernel_size=3)]),
    head=dict(
        in_channels=32, deconv_out_channels=None, deconv_kernel_sizes=None))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_factor=30,
        scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size={{_base_.codec.input_size}}),
    dict(type='GenerateTarget', encoder={{_base_.codec}}),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=32, dataset=dict(pipeline=train_pipeline))

val_evaluator = dict(type='mmdense.MpiiPCKh')
test_evaluator = val_evaluator
