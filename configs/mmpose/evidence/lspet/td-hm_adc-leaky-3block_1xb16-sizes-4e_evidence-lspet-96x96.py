"""Evidence: ADC whose hidden units cannot die."""
_base_ = './td-hm_adc-3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(conv=dict(negative_slope=0.1)))
