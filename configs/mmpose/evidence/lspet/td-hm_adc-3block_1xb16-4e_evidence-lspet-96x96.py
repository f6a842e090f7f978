"""Evidence: ADC in three blocks, whose field is small, not in a ResNet-18.

Not in the paper. Three blocks are known to gain from a dilation of 4
(../spatial_shortcut/README.md): rates that learn should find one.
"""
_base_ = './td-hm_3block_1xb16-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        # A sixteenth of 16 channels would be a single unit.
        conv=dict(type='mmdense.AdaptiveDilatedConv2d', hidden_ratio=1 / 4),
        pattern=r'layer1\.\d+\.conv2'))
