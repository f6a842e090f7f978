"""FlatteNet, seven subsamplings: predicts from a 2x2 grid (Tables V, XI)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(
    neck=dict(
        upscale=32,
        layers=[
            dict(groups_first=32, groups_second=64, stride=2, multiplier=4),
            dict(groups_first=64, groups_second=128, stride=2, multiplier=4)
        ]))
