"""U-Net as published, for grey slices of electron microscopy."""
model = dict(
    type='mmdense.OverlapTileSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[125.25],
        std=[43.67],
        size=(572, 572)),
    backbone=dict(type='mmdense.ValidUNet', in_channels=1),
    decode_head=dict(
        type='mmdense.ValidConvHead',
        in_channels=64,
        num_classes=2,
        weighted=True,
        loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(tile=(572, 572)))
