"""Evidence: three blocks, a quarter as wide, without shifting modules."""
_base_ = '../../_base_/evidence_lspet.py'

norm_cfg = dict(type='GN', num_groups=8, requires_grad=True)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='mmdense.ShiftResNet',
        depth=50,
        stem_channels=16,
        base_channels=16,
        num_stages=1,
        out_indices=(0, ),
        norm_cfg=norm_cfg),
    head=dict(
        type='mmdense.MultiPredictorHead',
        in_channels=64,
        out_channels=14,
        predictors=1,
        early_channels=[],
        groups=8,
        decoder=_base_.codec),
    test_cfg=dict(flip_test=False))
