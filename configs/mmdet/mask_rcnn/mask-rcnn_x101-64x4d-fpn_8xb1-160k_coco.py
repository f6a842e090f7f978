"""Mask R-CNN, ResNeXt-101-64x4d-FPN, COCO (Tables 1, 2a and 3).

One image a GPU and half the learning rate, for as many iterations.
"""
_base_ = './mask-rcnn_r50-fpn_8xb2-160k_coco.py'
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNeXt',
        depth=101,
        groups=64,
        base_width=4,
        style='pytorch',
        init_cfg=dict(checkpoint='open-mmlab://resnext101_64x4d')))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(optimizer=dict(lr=0.01))
auto_scale_lr = dict(base_batch_size=8)
