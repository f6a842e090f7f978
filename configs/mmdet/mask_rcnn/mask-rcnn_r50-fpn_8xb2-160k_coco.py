"""Mask R-CNN, ResNet-50-FPN, COCO (Table 2a)."""
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/coco_instance_160k.py'
]
roi_align = dict(sampling_ratio=2, aligned=False)
model = dict(
    data_preprocessor=dict(
        mean=[103.530, 116.280, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False),
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        style='caffe',
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe')),
    rpn_head=dict(
        loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1 / 9)),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=roi_align),
        bbox_head=dict(
            loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0)),
        mask_roi_extractor=dict(roi_layer=roi_align)),
    train_cfg=dict(
        rpn_proposal=dict(max_per_img=2000),
        # A box is an object from IoU 0.5, and of the object it fits best.
        rcnn=dict(assigner=dict(match_low_quality=False))))
