"""Evidence: scale-adaptive convolution in ADC's place (Table III)."""
_base_ = './td-hm_adc-last2-res18_1xb16-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        conv=dict(_delete_=True, type='mmdense.ScaleAdaptiveConv2d')))
