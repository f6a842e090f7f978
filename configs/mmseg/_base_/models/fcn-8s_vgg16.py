"""FCN-8s: FCN-16s and a score of pool3."""
_base_ = './fcn-16s_vgg16.py'
model = dict(
    decode_head=dict(
        in_channels=[3, 256, 512, 4096],
        in_index=[0, 1, 2, 3],
        upsampling=[
            dict(factor=2, crop=5),
            dict(factor=2, crop=9),
            dict(factor=8, crop=31)
        ]))
