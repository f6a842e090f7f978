"""U-Net on ISBI 2012, every pixel of the same weight."""
_base_ = './unet_1xb1-20k_isbi2012-572x572.py'
model = dict(decode_head=dict(weighted=False))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, _base_.elastic, _base_.turn, _base_.turn_again,
        _base_.pad, _base_.crop,
        dict(type='PackSegInputs')
    ]))
