"""Evidence: the blocks' own 3x3 reach farther, by a dilation of 4.

Not in the paper, which compares with dilation in words alone (Section 3.1).
"""
_base_ = './td-hm_3block_1xb16-4e_evidence-lspet-96x96.py'

model = dict(backbone=dict(dilations=(4, )))
