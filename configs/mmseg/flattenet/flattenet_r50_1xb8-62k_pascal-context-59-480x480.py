"""FlatteNet, ResNet-50, PASCAL-Context 59 classes, 480x480."""
_base_ = './flattenet_r101_1xb8-62k_pascal-context-59-480x480.py'
model = dict(
    backbone=dict(
        depth=50, init_cfg=dict(checkpoint='torchvision://resnet50')))
