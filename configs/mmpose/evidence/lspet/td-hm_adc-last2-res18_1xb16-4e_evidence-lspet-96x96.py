"""Evidence: ADC in the last two stages alone.

What deformable and scale-adaptive convolution are compared with, which take
a CPU too long in the others.
"""
_base_ = './td-hm_adc-res18_1xb16-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(pattern=r'layer[34]\.\d+\.conv2'))
