"""Table 3, 3x3 without GP: decoder alone."""
_base_ = './global-upsample-gp-3x3_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(decode_head=dict(upsample=dict(global_context=False)))
