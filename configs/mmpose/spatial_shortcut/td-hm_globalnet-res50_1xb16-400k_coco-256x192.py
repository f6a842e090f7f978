"""CPN's global net: "Backbone" of Table 1."""
_base_ = 'td-hm_globalnet-esp-res50_1xb16-400k_coco-256x192.py'

model = dict(neck=dict(early=0), head=dict(early_channels=[]))
