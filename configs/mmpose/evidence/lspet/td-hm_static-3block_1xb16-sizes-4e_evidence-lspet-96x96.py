"""Evidence: rates that are learned in ADC's place, the same for all persons.
"""
_base_ = './td-hm_adc-3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(conv=dict(regress=False)))
