"""SimpleBaseline, ResNet-50, scale-adaptive convolution (Table III)."""
_base_ = 'td-hm_adc-res50_4xb32-140e_coco-256x192.py'

model = dict(backbone=dict(conv=dict(type='mmdense.ScaleAdaptiveConv2d')))
