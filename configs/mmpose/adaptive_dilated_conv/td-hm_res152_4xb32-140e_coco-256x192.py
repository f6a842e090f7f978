"""SimpleBaseline, ResNet-152, COCO 256x192, as the ADC paper trains it."""
_base_ = 'td-hm_res50_4xb32-140e_coco-256x192.py'

model = dict(
    backbone=dict(
        depth=152, init_cfg=dict(checkpoint='torchvision://resnet152')))
