"""Table 1, "FCN-AlexNet": CaffeNet, the authors' AlexNet.

No weights of CaffeNet are published for PyTorch: without `init_cfg` this
starts from nothing. The sibling named torchvision takes torchvision's.
"""
_base_ = './fcn-32s_vgg16_1xb20-100k_voc11-500x500.py'
model = dict(
    backbone=dict(
        classifier=dict(_delete_=True, type='AlexNet'), init_cfg=None),
    # The first position of fc7 is centred on pixel 13, a whole one.
    decode_head=dict(upsampling=[dict(factor=32, kernel_size=63, crop=18)]))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
