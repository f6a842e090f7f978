"""Evidence: FCN-16s, every stride trained at once from nothing."""
_base_ = './fcn-32s_vgg16_1xb4-400_evidence-camvid-160x120.py'
model = dict(
    decode_head=dict(
        in_channels=[3, 64, 512],
        in_index=[0, 2, 3],
        upsampling=[dict(factor=2, crop=5),
                    dict(factor=16, crop=27)]))
