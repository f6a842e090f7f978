"""FCN-GoogLeNet in torchvision's layers, from torchvision's weights."""
_base_ = './fcn-32s_googlenet_1xb20-100k_voc11-500x500.py'
model = dict(
    # torchvision's network brings its images to [-1, 1] before its layers.
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(
        classifier=dict(torchvision_layers=True),
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='pretrain/googlenet_fully-convolutional.pth')),
    # A last pool of 2x2: the first position is centred on pixel -75.
    decode_head=dict(upsampling=[dict(factor=32, kernel_size=63, crop=106)]))
