"""SimpleBaseline, a ResNet-18 a quarter as wide: what ADC is compared with."""
_base_ = '../../_base_/evidence_lspet.py'

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNet', depth=18, stem_channels=16, base_channels=16),
    head=dict(
        type='HeatmapHead',
        in_channels=128,
        out_channels=14,
        deconv_out_channels=(32, 32, 32),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec),
    test_cfg=dict(flip_test=False))
