"""Quick start: the whole SSN-R50 a quarter as wide, seven predictors."""
_base_ = 'td-hm_ssn-3block-k256_quick_synthetic-128x96.py'

norm_cfg = dict(type='GN', num_groups=8, requires_grad=True)
model = dict(
    backbone=dict(
        stem_channels=16,
        base_channels=16,
        norm_cfg=norm_cfg,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        shift=dict(shift_channels=64, attention='softplus')),
    neck=dict(
        _delete_=True,
        type='mmdense.GlobalNeck',
        in_channels=[64, 128, 256, 512],
        out_channels=64,
        groups=8,
        early=3),
    head=dict(
        in_channels=64,
        predictors=4,
        early_channels=[64, 128, 256],
        groups=8))
