"""Evidence: SimpleBaseline on an EfficientNet-Lite0 of ImageNet, stride 16.

What ADC is compared with at 192x144. README.md says how to make the weights.
"""
_base_ = '../../_base_/evidence_lspet_192x144.py'

model = dict(
    type='TopdownPoseEstimator',
    # The published weights' own.
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[127, 127, 127],
        std=[128, 128, 128],
        bgr_to_rgb=True),
    backbone=dict(
        type='mmdense.EfficientNetLite',
        out_indices=(4, ),
        # To stride 4: half of the time of a step.
        frozen_stages=3,
        init_cfg=dict(
            type='Pretrained', checkpoint='pretrain/efficientnet-lite0.pth')),
    head=dict(
        type='HeatmapHead',
        in_channels=112,
        out_channels=14,
        deconv_out_channels=(64, 64),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec),
    test_cfg=dict(flip_test=False))
