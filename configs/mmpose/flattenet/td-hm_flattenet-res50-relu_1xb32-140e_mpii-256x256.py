"""FlatteNet ablation: ReLU in place of PReLU (Table II)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(
    neck=dict(layers=[
        dict(groups_first=32, groups_second=64, activation='ReLU')
    ]))
