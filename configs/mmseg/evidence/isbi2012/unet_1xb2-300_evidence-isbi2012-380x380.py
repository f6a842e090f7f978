"""Evidence: U-Net as published, an eighth as wide."""
_base_ = [
    '../../_base_/models/valid-unet.py',
    '../../_base_/evidence_isbi2012.py'
]
# The network gives the middle 196x196.
crop_size = (380, 380)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(base_channels=8),
    decode_head=dict(in_channels=8),
    # A slice in one tile.
    test_cfg=dict(tile=(700, 700)))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, _base_.border_weights, *_base_.augment, _base_.pad,
        dict(type='RandomCrop', crop_size=crop_size),
        dict(type='mmdense.PackWeightedSegInputs')
    ]))
