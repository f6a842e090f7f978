"""Table 3, GP and 3x3, and the GAU of Table 4: decoder alone."""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(decode_head=dict(attention=None))
