"""Evidence: deformable convolution in ADC's place, in three blocks."""
_base_ = './td-hm_adc-3block_1xb16-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(conv=dict(_delete_=True, type='DCN')))
