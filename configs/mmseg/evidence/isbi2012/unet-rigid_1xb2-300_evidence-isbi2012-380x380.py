"""Evidence: U-Net without elastic deformation."""
_base_ = './unet_1xb2-300_evidence-isbi2012-380x380.py'
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, _base_.border_weights, _base_.turn, _base_.turn_again,
        _base_.pad, dict(type='RandomCrop', crop_size=_base_.crop_size),
        dict(type='mmdense.PackWeightedSegInputs')
    ]))
