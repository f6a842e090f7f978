"""Evidence: classes and background compete for each pixel of a mask."""
_base_ = './mask-rcnn_r18-fpn_1xb8-500_evidence-synthetic.py'
model = dict(
    roi_head=dict(
        mask_head=dict(
            type='mmdense.MultinomialMaskHead',
            loss_mask=dict(use_mask=False))))
