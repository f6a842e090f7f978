"""FCN-32s: VGG16, one score at stride 32, upsampled to the pixels."""
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        # Images of any size: a batch is padded to its largest.
        size=None,
        size_divisor=1,
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(type='VGG16'),
        # configs/mmseg/fcn/README.md says how to make this file.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='pretrain/vgg16_fully-convolutional.pth')),
    decode_head=dict(
        type='mmdense.FCNSkipHead',
        # The image and fc7.
        in_channels=[3, 4096],
        in_index=[0, 3],
        # The first position of fc7 is centred on pixel 12.5; that of its
        # upsampled scores, 31.5 earlier, on -19.
        upsampling=[dict(factor=32, crop=19)],
        num_classes=21,
        loss_decode=dict(
            type='CrossEntropyLoss',
            use_sigmoid=False,
            avg_non_ignore=True,
            loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
