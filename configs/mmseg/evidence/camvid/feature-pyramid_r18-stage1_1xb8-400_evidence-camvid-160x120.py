"""Evidence: feature pyramid attention where the backbone's field is small.

Not in the paper: the first stage alone, which sees 47 pixels, not 375.
"""
_base_ = './feature-pyramid_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(
    backbone=dict(
        num_stages=1, strides=(1, ), dilations=(1, ), out_indices=(0, )),
    decode_head=dict(in_channels=[16], in_index=[0]))
