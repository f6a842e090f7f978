"""Table 2b, softmax: classes compete for each pixel of a mask."""
_base_ = './mask-rcnn_r50-c4_8xb2-160k_coco.py'
model = dict(
    roi_head=dict(
        mask_head=dict(
            type='mmdense.MultinomialMaskHead',
            loss_mask=dict(use_mask=False))))
