"""Evidence: ADC in three blocks, rates times a dilation of 4."""
_base_ = './td-hm_adc-3block_1xb16-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(backbone=dict(dilations=(4, ))))
