"""Evidence: ADC with two rates a layer (Table II)."""
_base_ = './td-hm_adc-res18_1xb16-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(conv=dict(groups_of_rates=2)))
