"""PSANet, ResNet-50 with ADC, Cityscapes 769x769 (Table IV)."""
_base_ = 'mmseg::psanet/psanet_r50-d8_4xb2-40k_cityscapes-769x769.py'

default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(rate_regression=dict(decay_mult=0))))
model = dict(
    backbone=dict(
        dcn=dict(type='mmdense.AdaptiveDilatedConv2d'),
        stage_with_dcn=(True, True, True, True)))
