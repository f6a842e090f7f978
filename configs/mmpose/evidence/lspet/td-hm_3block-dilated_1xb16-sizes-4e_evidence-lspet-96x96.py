"""Evidence: a fixed dilation of 4 in place of rates that are learned."""
_base_ = './td-hm_3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(dilations=(4, )))
