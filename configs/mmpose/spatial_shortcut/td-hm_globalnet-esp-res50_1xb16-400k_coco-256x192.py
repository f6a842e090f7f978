"""CPN's global net with early stage predictors: "Backbone, w/ ESP"."""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

param_scheduler = [{{_base_.halving}}]
find_unused_parameters = False
custom_hooks = [dict(type='SyncBuffersHook')]
model = dict(backbone=dict(shift=None, first_shift_channels=None))
