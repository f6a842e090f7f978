"""SimpleBaseline, ResNet-50, 2 dilation rates a layer (Table II)."""
_base_ = 'td-hm_adc-res50_4xb32-140e_coco-256x192.py'

model = dict(backbone=dict(conv=dict(groups_of_rates=2)))
