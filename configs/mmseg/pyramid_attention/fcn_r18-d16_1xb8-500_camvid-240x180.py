"""The head of FCN on the backbone and budget of pyramid-attention."""
_base_ = './pyramid-attention_r18-d16_1xb8-500_camvid-240x180.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=512,
        in_index=3,
        channels=128,
        num_convs=2,
        concat_input=True,
        dropout_ratio=0,
        num_classes=11,
        ignore_index=_base_.void,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
