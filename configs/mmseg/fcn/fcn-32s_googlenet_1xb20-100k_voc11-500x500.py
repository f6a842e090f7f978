"""Table 1, "FCN-GoogLeNet": the layers of the original.

No weights of these layers are published for PyTorch: without `init_cfg` this
starts from nothing. The sibling named torchvision takes torchvision's.
"""
_base_ = './fcn-32s_vgg16_1xb20-100k_voc11-500x500.py'
model = dict(
    backbone=dict(
        classifier=dict(_delete_=True, type='GoogLeNet'), init_cfg=None),
    decode_head=dict(
        in_channels=[3, 1024],
        # The first position is centred on pixel -67.
        upsampling=[dict(factor=32, kernel_size=63, crop=98)]))
optim_wrapper = dict(optimizer=dict(lr=5e-5))
