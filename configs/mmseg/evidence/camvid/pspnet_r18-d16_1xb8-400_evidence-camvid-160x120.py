"""Evidence: the backbone of pyramid-attention with the head of PSPNet."""
_base_ = './pyramid-attention_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='PSPHead',
        in_channels=128,
        in_index=3,
        channels=64,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0,
        num_classes=11,
        ignore_index=_base_.void,
        norm_cfg=_base_.norm_cfg,
        init_cfg=_base_.classifier_init,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
