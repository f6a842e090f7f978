"""Evidence: FCN-8s on a VGG16 an eighth as wide, from nothing."""
_base_ = [
    '../../_base_/models/fcn-8s_vgg16.py',
    '../../_base_/evidence_isbi2012.py'
]
# It takes three equal channels.
load = [step for step in _base_.load if step != _base_.grey]
model = dict(
    data_preprocessor=dict(mean=[125.25] * 3, std=[43.67] * 3),
    backbone=dict(
        classifier=dict(base_channels=8, fc_channels=512, dropout=0)),
    decode_head=dict(in_channels=[3, 32, 64, 512], num_classes=2))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *load, *_base_.augment,
        dict(type='RandomCrop', crop_size=_base_.crop_size),
        dict(type='PackSegInputs')
    ]))
val_dataloader = dict(
    dataset=dict(pipeline=[*load, dict(type='PackSegInputs')]))
test_dataloader = val_dataloader
