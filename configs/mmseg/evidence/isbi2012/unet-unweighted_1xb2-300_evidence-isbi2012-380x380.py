"""Evidence: U-Net without the weight map."""
_base_ = './unet_1xb2-300_evidence-isbi2012-380x380.py'
model = dict(decode_head=dict(weighted=False))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.load, *_base_.augment, _base_.pad,
        dict(type='RandomCrop', crop_size=_base_.crop_size),
        dict(type='PackSegInputs')
    ]))
