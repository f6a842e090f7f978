"""Evidence: FCN on FlatteNet's undilated backbone: what stride 32 costs."""
_base_ = './fcn_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(backbone=dict(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1)))
