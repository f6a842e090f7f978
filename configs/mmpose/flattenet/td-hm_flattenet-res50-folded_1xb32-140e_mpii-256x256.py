"""FlatteNet as a nonlinear predictor on the coarse grid (Section III-C).

The target is folded and the features stay coarse. Loss and gradients are
those of the default, and checkpoints of one load into the other.
"""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(
    neck=dict(rearrange=False),
    head=dict(
        _delete_=True,
        type='mmdense.FoldedHeatmapHead',
        in_channels=32,
        out_channels=16,
        upscale=8,
        decoder={{_base_.codec}}))
