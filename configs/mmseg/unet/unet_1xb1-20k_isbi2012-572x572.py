"""U-Net as published, on ISBI 2012: border weights, elastic deformation."""
_base_ = [
    '../_base_/datasets/isbi2012.py', 'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
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
# The paper names the momentum alone.
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, momentum=0.99, weight_decay=0))
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
