"""Evidence: feature pyramid attention on an EfficientNet-Lite0 of ImageNet."""
_base_ = './fcn_lite0_1xb8-400_evidence-camvid-320x240.py'

model = dict(
    decode_head=dict(
        _delete_=True,
        type='mmdense.PyramidAttentionHead',
        in_channels=[112],
        in_index=[2],
        channels=64,
        attention=dict(
            type='FeaturePyramidAttention',
            pyramid_channels=64,
            kernel_sizes=(7, 5, 3),
            pooling='average',
            global_pooling=True),
        upsample=None,
        dropout_ratio=0,
        num_classes=11,
        ignore_index=_base_.void,
        norm_cfg=_base_.norm_cfg,
        init_cfg=_base_.classifier_init,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
