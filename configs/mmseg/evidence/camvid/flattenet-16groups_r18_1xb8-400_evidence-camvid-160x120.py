"""Evidence: FlatteNet with 7x7 kernels, and groups of 8 to 16 channels.

The groups meet the paper's condition, numbers that multiply to the channels.
"""
_base_ = './flattenet_r18_1xb8-400_evidence-camvid-160x120.py'
model = dict(
    neck=dict(layers=[
        dict(groups_first=8, groups_second=16, kernel_size=7, multiplier=2),
        dict(groups_first=16, groups_second=16, kernel_size=7, multiplier=16)
    ]))
