"""Faster R-CNN with ADC where a recipe with deformable convolutions has those.

Not in the paper. The first stage is frozen, so it keeps its convolutions.
"""
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'

default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(rate_regression=dict(decay_mult=0))))
model = dict(
    backbone=dict(
        dcn=dict(type='mmdense.AdaptiveDilatedConv2d'),
        stage_with_dcn=(False, True, True, True)))
