"""Evidence: ADC in three blocks, on crops of 0.6 to 1.6 times the size."""
_base_ = './td-hm_3block-sizes_1xb16-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        conv=dict(type='mmdense.AdaptiveDilatedConv2d', hidden_ratio=1 / 4),
        pattern=r'layer1\.\d+\.conv2'))
