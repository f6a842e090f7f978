"""HRNetV2-W40, Cityscapes 512x1024 (Table 3)."""
_base_ = './hrnetv2_w48_4xb3-120k_cityscapes-512x1024.py'
model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w40'),
        extra=dict(
            stage2=dict(num_channels=(40, 80)),
            stage3=dict(num_channels=(40, 80, 160)),
            stage4=dict(num_channels=(40, 80, 160, 320)))),
    decode_head=dict(in_channels=[40, 80, 160, 320]))
