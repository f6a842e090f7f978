"""Table 2c, RoIAlign with maxima; the other recipes take means."""
_base_ = './mask-rcnn_r50-c4_8xb2-160k_coco.py'
model = dict(
    roi_head=dict(bbox_roi_extractor=dict(roi_layer=dict(pool_mode='max'))))
