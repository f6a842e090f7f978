"""Spatial Shortcut Network without shifting (Table 1)."""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

param_scheduler = [{{_base_.halving}}]
model = dict(backbone=dict(shift=dict(shifting=False)))
