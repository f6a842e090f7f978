"""Table 1, "C357+AVE+GP", and the FPA of Table 2: attention alone."""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(decode_head=dict(upsample=None))
