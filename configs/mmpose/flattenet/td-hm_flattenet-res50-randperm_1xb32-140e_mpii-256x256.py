"""FlatteNet ablation: random permutation, then pixel shuffle (Table II)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(neck=dict(rearrangement='random_permutation', seed=0))
