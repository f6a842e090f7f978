"""FCN-AlexNet in torchvision's layers, from torchvision's weights."""
_base_ = './fcn-32s_alexnet_1xb20-100k_voc11-500x500.py'
model = dict(
    backbone=dict(
        classifier=dict(torchvision_layers=True),
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='pretrain/alexnet_fully-convolutional.pth')))
