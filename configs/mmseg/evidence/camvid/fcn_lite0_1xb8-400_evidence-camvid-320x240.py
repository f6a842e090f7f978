"""Evidence: the head of FCN on an EfficientNet-Lite0 of ImageNet, stride 16.

Twice the sides of the other recipes. ../../../mmpose/evidence/lspet/README.md
says how to make the weights.
"""
_base_ = './fcn_r18-d16_1xb8-400_evidence-camvid-160x120.py'

scale = (320, 240)
crop_size = (256, 320)
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='Resize', scale=scale),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackSegInputs')
    ]))
val_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=scale),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs')
    ]))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.25))))
model = dict(
    # The published weights' own.
    data_preprocessor=dict(mean=[127, 127, 127], std=[128, 128, 128]),
    backbone=dict(
        _delete_=True,
        type='mmdense.EfficientNetLite',
        out_indices=(2, 3, 4),
        # To stride 4: half of the time of a step.
        frozen_stages=3,
        init_cfg=dict(
            type='Pretrained', checkpoint='pretrain/efficientnet-lite0.pth')),
    decode_head=dict(in_channels=112, in_index=2))
