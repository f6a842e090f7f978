"""HRNetV2-W40 with ADC, Cityscapes 512x1024.

Not in either paper.
"""
_base_ = './hrnetv2_w40_4xb3-120k_cityscapes-512x1024.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=dict(
            _base_.model.backbone,
            norm_cfg=dict(type='SyncBN', requires_grad=True)),
        conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
        pattern=r'(layer1|stage\d)\..*\.conv2'))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(rate_regression=dict(decay_mult=0))))
