"""Spatial Shortcut Network, half the shifting channels (Table 1)."""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

model = dict(
    backbone=dict(shift=dict(shift_channels=256), first_shift_channels=128))
