"""DeepLabv3, a rival of Table 3: 256 channels, joined by a 1x1."""
_base_ = './dilated-resnet_r101-d8_4xb3-120k_cityscapes-512x1024.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(
        type='ResNet',
        stem_channels=64,
        init_cfg=dict(checkpoint='torchvision://resnet101')),
    decode_head=dict(
        _delete_=True,
        type='mmdense.PointwiseASPPHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        dilations=(1, 12, 24, 36),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=_base_.model.decode_head.loss_decode))
