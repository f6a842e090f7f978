"""FCN-8s on a VGG16 a quarter as wide, in the budget of unet-narrow.

From nothing: the paper starts from a classifier of ImageNet.
"""
_base_ = './padded-unet-narrow_1xb1-300_isbi2012-256x256.py'
# FCN's classifiers take three channels.
load = [step for step in _base_.load if step != _base_.grey]
model = dict(
    data_preprocessor=dict(mean=[125.25] * 3, std=[43.67] * 3),
    backbone=dict(
        _delete_=True,
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(
            type='VGG16', base_channels=16, fc_channels=1024, dropout=0)),
    decode_head=dict(
        _delete_=True,
        type='mmdense.FCNSkipHead',
        in_channels=[3, 64, 128, 1024],
        in_index=[0, 1, 2, 3],
        upsampling=[
            dict(factor=2, crop=5),
            dict(factor=2, crop=9),
            dict(factor=8, crop=31)
        ],
        num_classes=2,
        loss_decode=dict(type='CrossEntropyLoss')))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *load, _base_.elastic, _base_.turn,
        dict(type='RandomCrop', crop_size=_base_.crop_size),
        dict(type='PackSegInputs')
    ]))
val_dataloader = dict(
    dataset=dict(pipeline=[*load, dict(type='PackSegInputs')]))
test_dataloader = val_dataloader
