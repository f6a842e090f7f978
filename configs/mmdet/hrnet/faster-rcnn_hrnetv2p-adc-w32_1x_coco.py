"""Faster R-CNN on HRNetV2p-W32 with ADC, COCO. Not in either paper."""
_base_ = './faster-rcnn_hrnetv2p-w32_1x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
        pattern=r'(layer1|stage\d)\..*\.conv2'))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(rate_regression=dict(decay_mult=0))))
