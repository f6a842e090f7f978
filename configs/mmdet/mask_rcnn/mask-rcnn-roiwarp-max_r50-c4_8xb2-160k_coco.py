"""Table 2c, RoIWarp: the RoI on whole pixels, maxima of bilinear samples."""
_base_ = './mask-rcnn_r50-c4_8xb2-160k_coco.py'
model = dict(
    roi_head=dict(
        bbox_roi_extractor=dict(
            type='mmdense.QuantizingRoIExtractor',
            roi_layer=dict(
                _delete_=True,
                type='RoIWarp',
                output_size=7,
                pool_mode='max'))))
