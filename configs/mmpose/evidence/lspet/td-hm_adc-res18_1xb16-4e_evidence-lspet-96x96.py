"""Evidence: ADC in the second 3x3 of every block."""
_base_ = './td-hm_res18_1xb16-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        # A sixteenth of 16 channels would be a single unit.
        conv=dict(type='mmdense.AdaptiveDilatedConv2d', hidden_ratio=1 / 4),
        pattern=r'layer\d\.\d+\.conv2'))
