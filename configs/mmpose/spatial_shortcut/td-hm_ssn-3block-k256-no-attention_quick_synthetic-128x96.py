"""Quick start: 3Block + 3FSM without correlation attention."""
_base_ = 'td-hm_ssn-3block-k256_quick_synthetic-128x96.py'

model = dict(backbone=dict(shift=dict(attention=None)))
