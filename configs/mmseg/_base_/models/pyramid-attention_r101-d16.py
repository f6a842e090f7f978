"""Pyramid Attention Network on ResNet-101 at output stride 16."""
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255),
    # configs/mmseg/pyramid_attention/README.md says how to make this file.
    pretrained='pretrain/resnet101s.pth',
    backbone=dict(
        type='ResNetV1c',
        depth=101,
        # The paper's stem, PSPNet's: 3x3 convolutions of 64, 64 and 128.
        stem_channels=128,
        strides=(1, 2, 2, 1),
        # Contracted, so only the blocks after the first dilate: "res5b".
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch'),
    decode_head=dict(
        type='mmdense.PyramidAttentionHead',
        in_channels=[256, 512, 1024, 2048],
        in_index=[0, 1, 2, 3],
        channels=256,
        attention=dict(
            type='FeaturePyramidAttention',
            pyramid_channels=256,
            kernel_sizes=(7, 5, 3),
            pooling='average',
            global_pooling=True),
        upsample=dict(kernel_size=3, global_context=True),
        dropout_ratio=0,
        num_classes=21,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
