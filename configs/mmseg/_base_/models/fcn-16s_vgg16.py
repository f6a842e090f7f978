"""FCN-16s: FCN-32s and a score of pool4."""
_base_ = './fcn-32s_vgg16.py'
model = dict(
    # It starts from an FCN-32s.
    backbone=dict(init_cfg=None),
    decode_head=dict(
        in_channels=[3, 512, 4096],
        in_index=[0, 2, 3],
        upsampling=[dict(factor=2, crop=5),
                    dict(factor=16, crop=27)]))
