"""Spatial Shortcut Network without correlation attention (Table 1)."""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

model = dict(backbone=dict(shift=dict(attention=None)))
