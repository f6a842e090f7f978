"""The stem of mmseg's ResNetV1c (32, 32, 64) and its weights, VOC 2012 aug.

Starts with no weight file to make, 0.1 M parameters below the paper's stem.
"""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(
    pretrained='open-mmlab://resnet101_v1c', backbone=dict(stem_channels=64))
