"""Table 2c, RoIPool: RoI and bins on whole pixels, maxima."""
_base_ = './mask-rcnn_r50-c4_8xb2-160k_coco.py'
model = dict(
    roi_head=dict(
        bbox_roi_extractor=dict(
            type='mmdense.QuantizingRoIExtractor',
            roi_layer=dict(_delete_=True, type='RoIPool', output_size=7))))
