"""SimpleBaseline, ResNet-101, COCO 384x288, as the ADC paper trains it."""
_base_ = 'td-hm_res50_4xb32-140e_coco-384x288.py'

model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
