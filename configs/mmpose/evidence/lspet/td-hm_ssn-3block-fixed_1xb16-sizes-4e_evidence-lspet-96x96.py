"""Evidence: offsets that stay where they start."""
_base_ = './td-hm_ssn-3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(shift=dict(offset_kind='fixed')))
