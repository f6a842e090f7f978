"""HRNetV2-W48, 19 classes: four streams, mixed by a 1x1 with bias."""
_base_ = 'mmseg::_base_/models/fcn_hr18.py'
model = dict(
    pretrained=None,
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w48'),
        extra=dict(
            stage2=dict(num_channels=(48, 96)),
            stage3=dict(num_channels=(48, 96, 192)),
            stage4=dict(num_channels=(48, 96, 192, 384)))),
    decode_head=dict(
        _delete_=True,
        type='mmdense.HRNetV2Head',
        in_channels=[48, 96, 192, 384],
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
