"""SimpleBaseline, ResNet-152 with ADC, COCO 256x192 (Table I)."""
_base_ = 'td-hm_res152_4xb32-140e_coco-256x192.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
        pattern=r'layer\d\.\d+\.conv2'))
