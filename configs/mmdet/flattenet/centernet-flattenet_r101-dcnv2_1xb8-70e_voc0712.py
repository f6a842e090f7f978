"""CenterNet with FlatteNet, ResNet-101, VOC07+12 at 512x512 (Tables IX, X)."""
_base_ = './centernet_r101-dcnv2_1xb8-70e_voc0712.py'

model = dict(
    backbone=dict(
        dcn=dict(type='DCNv2', deform_groups=1, fallback_on_stride=False),
        stage_with_dcn=(False, False, False, True)),
    neck=dict(
        _delete_=True,
        type='mmdense.FlatteningNeck',
        in_channels=2048,
        upscale=8,
        layers=[
            dict(
                groups_first=32,
                groups_second=32,
                kernel_size=5,
                multiplier=2)
        ]))
