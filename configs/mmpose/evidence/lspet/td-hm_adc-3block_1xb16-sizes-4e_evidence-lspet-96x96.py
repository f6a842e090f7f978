"""Evidence: ADC of Equation 5 in three blocks, on crops of several sizes."""
_base_ = './td-hm_3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        # A sixteenth of 16 channels would be a single unit.
        conv=dict(type='mmdense.AdaptiveDilatedConv2d', hidden_ratio=1 / 4),
        pattern=r'layer1\.\d+\.conv2'))
