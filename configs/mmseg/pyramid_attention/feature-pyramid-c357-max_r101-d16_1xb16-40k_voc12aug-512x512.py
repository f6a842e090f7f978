"""Table 1, "C357+MAX": attention alone, no global pooling branch."""
_base_ = './feature-pyramid-c357-max-gp_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(decode_head=dict(attention=dict(global_pooling=False)))
