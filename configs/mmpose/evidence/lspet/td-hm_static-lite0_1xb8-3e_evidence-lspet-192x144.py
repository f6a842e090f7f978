"""Evidence: rates that are learned in ADC's place, the same for all persons.
"""
_base_ = './td-hm_adc-lite0_1xb8-3e_evidence-lspet-192x144.py'

model = dict(backbone=dict(conv=dict(regress=False)))
