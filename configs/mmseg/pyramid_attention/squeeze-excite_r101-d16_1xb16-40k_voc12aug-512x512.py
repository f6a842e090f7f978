"""Table 1, "SE": a weight per channel in place of the pyramid."""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(
    decode_head=dict(
        attention=dict(_delete_=True, type='SqueezeExciteAttention'),
        upsample=None))
