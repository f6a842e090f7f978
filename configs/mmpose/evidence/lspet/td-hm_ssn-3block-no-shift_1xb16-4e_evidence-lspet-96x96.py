"""Evidence: 3Block + 3FSM without shifting (Table 1)."""
_base_ = './td-hm_ssn-3block_1xb16-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(shift=dict(shifting=False)))
