"""Table 2, "DeepLab V3": mmseg's ASPP on the same backbone."""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='ASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        # Those of DeepLabV3 at output stride 16.
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
