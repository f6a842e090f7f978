"""mmseg's U-Net, padded and with batch norm, in the budget of unet-narrow."""
_base_ = './unet-narrow_1xb1-300_isbi2012-380x380.py'
crop_size = (256, 256)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        _delete_=True, type='UNet', in_channels=1, base_channels=16),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=16,
        channels=16,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        num_classes=2,
        loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(_delete_=True, mode='whole'))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, _base_.elastic, _base_.turn,
        dict(type='RandomCrop', crop_size=crop_size),
        dict(type='PackSegInputs')
    ]))
