"""Tables 1 and 3, "ResNet101": the backbone and one 1x1 convolution."""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=2048,
        in_index=3,
        channels=2048,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        num_classes=21,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
