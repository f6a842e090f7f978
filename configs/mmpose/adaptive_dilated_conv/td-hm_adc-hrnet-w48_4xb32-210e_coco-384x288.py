"""HRNet-W48 with ADC, COCO 384x288."""
_base_ = 'td-hm_hrnet-w48_4xb32-210e_coco-384x288.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
        pattern=r'(layer1|stage\d)\..*\.conv2'))
