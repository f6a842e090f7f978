"""FlatteNet ablation: a dense 1x1 convolution for the layer (Table II)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(neck=dict(layers=[dict(regular=True)]))
