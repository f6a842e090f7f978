"""HRNet-W48, COCO 256x192, rotation and scaling as in the ADC paper."""
_base_ = '../hrnet/td-hm_hrnetv1-w48_4xb32-210e_coco-256x192.py'

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(
        type='RandomBBoxTransform', rotate_factor=30, scale_factor=(0.7, 1.3)),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
