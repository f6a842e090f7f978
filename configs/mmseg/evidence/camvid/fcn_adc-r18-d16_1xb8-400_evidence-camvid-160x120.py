"""Evidence: FCN with ADC in every block of its narrow ResNet-18."""
_base_ = './fcn_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        # A sixteenth of 16 channels would be a single unit.
        conv=dict(type='mmdense.AdaptiveDilatedConv2d', hidden_ratio=1 / 4),
        pattern=r'layer\d\.\d+\.conv2'))
