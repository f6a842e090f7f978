"""Table 1, "C333+AVE+GP": attention alone, 3x3 at every level."""
_base_ = './feature-pyramid-c357-ave-gp_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(decode_head=dict(attention=dict(kernel_sizes=(3, 3, 3))))
