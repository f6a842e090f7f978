"""Table 5, "MS" without "Flip": `--tta` tests at six scales, unflipped."""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
tta_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='Resize', scale_factor=ratio, keep_ratio=True)
            for ratio in _base_.img_ratios
        ], [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]])
]
