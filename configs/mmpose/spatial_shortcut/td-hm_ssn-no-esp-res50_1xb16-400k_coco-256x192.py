"""Spatial Shortcut Network without early stage predictors (Table 1)."""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

model = dict(neck=dict(early=0), head=dict(early_channels=[]))
