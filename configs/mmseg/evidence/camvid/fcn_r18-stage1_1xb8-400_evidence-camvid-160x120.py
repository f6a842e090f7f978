"""Evidence: the head of FCN where the backbone's field is small."""
_base_ = './fcn_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(
    backbone=dict(
        num_stages=1, strides=(1, ), dilations=(1, ), out_indices=(0, )),
    decode_head=dict(in_channels=16, in_index=0))
