"""Mask R-CNN, ResNet-50-C4, COCO (Table 2a).

The fifth stage runs on RoIs of 7x7 with stride 1, four points are sampled in
each bin at x/16, 64 RoIs are trained an image and 300 tested.
"""
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
    '../_base_/coco_instance_160k.py'
]
model = dict(
    rpn_head=dict(
        loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1 / 9)),
    roi_head=dict(
        shared_head=dict(stride=1),
        bbox_roi_extractor=dict(
            roi_layer=dict(output_size=7, sampling_ratio=2, aligned=False)),
        bbox_head=dict(
            loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0))),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(max_per_img=300)))
