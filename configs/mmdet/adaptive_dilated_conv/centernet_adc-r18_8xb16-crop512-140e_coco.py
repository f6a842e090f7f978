"""CenterNet with ADC in a ResNet-18, whose blocks take no ``dcn``.

Not in the paper.
"""
_base_ = 'mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py'

default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
        pattern=r'layer\d\.\d+\.conv2'))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(rate_regression=dict(decay_mult=0))))
