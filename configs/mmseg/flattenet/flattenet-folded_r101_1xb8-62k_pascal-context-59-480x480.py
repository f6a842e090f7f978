"""FlatteNet as a nonlinear predictor on the coarse grid (Section III-C).

Its predictions are those of the default, and checkpoints of one load into the
other. The loss is taken at a quarter of the image's size (Equation 5).
"""
_base_ = './flattenet_r101_1xb8-62k_pascal-context-59-480x480.py'
model = dict(
    neck=dict(rearrange=False),
    decode_head=dict(
        _delete_=True,
        type='mmdense.FoldedFCNHead',
        in_channels=128,
        in_index=0,
        upscale=8,
        num_classes=59,
        align_corners=False,
        init_cfg=dict(
            type='Kaiming',
            mode='fan_in',
            nonlinearity='linear',
            override=dict(name='conv_seg')),
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
