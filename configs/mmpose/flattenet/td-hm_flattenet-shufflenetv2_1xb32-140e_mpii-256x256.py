"""FlatteNet, ShuffleNetV2 1x, MPII 256x256 (Table III, footnote 6)."""
_base_ = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ShuffleNetV2',
        widen_factor=1.0,
        init_cfg=dict(type='Pretrained', checkpoint='mmcls://shufflenet_v2')),
    neck=dict(
        in_channels=1024,
        layers=[dict(groups_first=64, groups_second=16, multiplier=2)]))
