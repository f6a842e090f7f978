"""Evidence: mmseg's U-Net, padded and with batch norm, as wide as unet.

One 1x1 classifies, as there.
"""
_base_ = [
    'mmseg::_base_/models/fcn_unet_s5-d16.py',
    '../../_base_/evidence_isbi2012.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(
        mean=[125.25],
        std=[43.67],
        bgr_to_rgb=False,
        size=_base_.crop_size),
    backbone=dict(in_channels=1, base_channels=8, norm_cfg=norm_cfg),
    decode_head=dict(
        in_channels=8,
        channels=8,
        num_convs=0,
        dropout_ratio=0,
        norm_cfg=norm_cfg,
        # mmseg's Normal(0, 0.01) learns too slowly behind a ReLU.
        init_cfg=dict(
            type='Kaiming',
            mode='fan_in',
            nonlinearity='linear',
            override=dict(name='conv_seg'))),
    auxiliary_head=None,
    test_cfg=dict(_delete_=True, mode='whole'))
