"""Mask R-CNN, ResNet-101-FPN, COCO (Tables 1, 2a and 3)."""
_base_ = './mask-rcnn_r50-fpn_8xb2-160k_coco.py'
model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe')))
