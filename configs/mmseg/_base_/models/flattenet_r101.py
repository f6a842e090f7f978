"""FlatteNet on ResNet-101 at output stride 32, 59 classes (Table VII)."""
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        # A map at stride 32 covers whole multiples of 32 pixels. Without the
        # padding the logits of any other image would be squeezed into it.
        test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='ResNet',
        depth=101,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained', checkpoint='torchvision://resnet101')),
    neck=dict(
        type='mmdense.FlatteningNeck',
        in_channels=2048,
        upscale=8,
        layers=[
            dict(
                groups_first=32,
                groups_second=64,
                kernel_size=7,
                multiplier=2),
            dict(
                groups_first=64,
                groups_second=64,
                kernel_size=7,
                multiplier=2)
        ]),
    # No convolution of its own: what is left is the 1x1 predictor.
    decode_head=dict(
        type='FCNHead',
        in_channels=128,
        in_index=0,
        channels=128,
        num_convs=0,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0,
        num_classes=59,
        align_corners=False,
        # mmseg's Normal(0, 0.01) is too narrow right behind a ReLU: under
        # Adam all channels then vote for the commonest class, the others are
        # left with the bias, and small networks never predict them.
        init_cfg=dict(
            type='Kaiming',
            mode='fan_in',
            nonlinearity='linear',
            override=dict(name='conv_seg')),
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
