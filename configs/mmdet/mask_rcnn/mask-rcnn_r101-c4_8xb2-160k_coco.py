"""Mask R-CNN, ResNet-101-C4, COCO (Tables 1 and 2a)."""
_base_ = './mask-rcnn_r50-c4_8xb2-160k_coco.py'
model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe')),
    roi_head=dict(shared_head=dict(depth=101)))
