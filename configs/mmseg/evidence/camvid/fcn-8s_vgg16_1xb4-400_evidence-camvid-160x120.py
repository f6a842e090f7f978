"""Evidence: FCN-8s, every stride trained at once from nothing."""
_base_ = './fcn-32s_vgg16_1xb4-400_evidence-camvid-160x120.py'
model = dict(
    decode_head=dict(
        in_channels=[3, 32, 64, 512],
        in_index=[0, 1, 2, 3],
        upsampling=[
            dict(factor=2, crop=5),
            dict(factor=2, crop=9),
            dict(factor=8, crop=31)
        ]))
