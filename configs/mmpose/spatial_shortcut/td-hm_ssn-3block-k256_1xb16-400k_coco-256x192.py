"""3Block + 3FSM, K = 256: the light network of Tables 1 and 3.

One stage of ResNet-50. No pretrained weights: the paper names none.
"""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

model = dict(
    backbone=dict(
        num_stages=1,
        out_indices=(0, ),
        shift=dict(shift_channels=256, attention='sigmoid'),
        first_shift_channels=None,
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm'])
        ]),
    neck=None,
    head=dict(predictors=1, early_channels=[]))
