"""Faster R-CNN with RoIPool, "w FPN" in Table 3, on the same schedule."""
_base_ = './faster-rcnn-roialign_r101-fpn_8xb2-160k_coco.py'
model = dict(
    roi_head=dict(
        bbox_roi_extractor=dict(
            type='mmdense.QuantizingRoIExtractor',
            roi_layer=dict(_delete_=True, type='RoIPool', output_size=7))))
