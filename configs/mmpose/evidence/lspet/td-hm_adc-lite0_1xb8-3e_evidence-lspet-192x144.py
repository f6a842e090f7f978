"""Evidence: ADC in the depthwise convolutions at strides 8 and 16."""
_base_ = './td-hm_lite0_1xb8-3e_evidence-lspet-192x144.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdense.ReplaceConv',
        backbone=_base_.model.backbone,
        # The leaky activation keeps hidden units from dying.
        conv=dict(
            type='mmdense.AdaptiveDilatedConv2d',
            hidden_ratio=1 / 16,
            negative_slope=0.1),
        # All from the second block of stride 8 on, but for the strided one.
        pattern=r'layers\.(3\.1|4\.[1-5])\.depthwise_conv\.conv'))
