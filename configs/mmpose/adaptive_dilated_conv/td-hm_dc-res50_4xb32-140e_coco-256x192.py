"""SimpleBaseline, ResNet-50, deformable convolution (Table III)."""
_base_ = 'td-hm_adc-res50_4xb32-140e_coco-256x192.py'

model = dict(backbone=dict(conv=dict(type='DCN')))
