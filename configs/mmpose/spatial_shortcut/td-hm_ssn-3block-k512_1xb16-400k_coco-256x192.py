"""3Block + 3FSM, K = 512 (Tables 1 and 3)."""
_base_ = 'td-hm_ssn-3block-k256_1xb16-400k_coco-256x192.py'

model = dict(backbone=dict(shift=dict(shift_channels=512)))
