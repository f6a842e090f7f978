"""U-Net on ISBI 2012 without elastic deformation."""
_base_ = './unet_1xb1-20k_isbi2012-572x572.py'
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, _base_.border_weights, _base_.turn, _base_.turn_again,
        _base_.pad, _base_.crop,
        dict(type='mmdense.PackWeightedSegInputs')
    ]))
