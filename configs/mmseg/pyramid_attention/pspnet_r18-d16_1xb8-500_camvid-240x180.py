"""The head of PSPNet on the backbone and budget of pyramid-attention."""
_base_ = './pyramid-attention_r18-d16_1xb8-500_camvid-240x180.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='PSPHead',
        in_channels=512,
        in_index=3,
        channels=128,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0,
        num_classes=11,
        ignore_index=_base_.void,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
