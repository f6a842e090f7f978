"""Evidence: RoIPool for boxes and masks."""
_base_ = './mask-rcnn_r18-fpn_1xb8-500_evidence-synthetic.py'
model = dict(
    roi_head=dict(
        bbox_roi_extractor=dict(
            type='mmdense.QuantizingRoIExtractor',
            roi_layer=dict(_delete_=True, type='RoIPool', output_size=7)),
        mask_roi_extractor=dict(
            type='mmdense.QuantizingRoIExtractor',
            roi_layer=dict(_delete_=True, type='RoIPool', output_size=14))))
