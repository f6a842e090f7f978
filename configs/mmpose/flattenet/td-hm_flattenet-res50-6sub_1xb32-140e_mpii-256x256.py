"""FlatteNet, six subsamplings: predicts from a 4x4 grid (Tables V, XI)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(
    neck=dict(
        upscale=16,
        layers=[
            dict(groups_first=32, groups_second=64, stride=2, multiplier=4)
        ]))
