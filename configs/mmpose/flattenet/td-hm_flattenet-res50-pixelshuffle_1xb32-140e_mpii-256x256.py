"""FlatteNet ablation: rearrangement by pixel shuffle alone (Table II)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(neck=dict(rearrangement='pixel_shuffle'))
