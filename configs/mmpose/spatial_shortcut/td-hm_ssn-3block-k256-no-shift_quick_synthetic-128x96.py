"""Quick start: 3Block + 3FSM without shifting."""
_base_ = 'td-hm_ssn-3block-k256_quick_synthetic-128x96.py'

param_scheduler = [{{_base_.halving}}]
model = dict(backbone=dict(shift=dict(shifting=False)))
