"""HRNetV2-W48 + OCR, PASCAL-Context without background (Table 5)."""
_base_ = './hrnetv2_w48_4xb4-60k_pascal-context-59-480x480.py'
head = dict(
    _base_.model.decode_head, norm_cfg=dict(type='SyncBN', requires_grad=True))
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        dict(
            head,
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
        dict(head, type='mmdense.HRNetOCRHead')
    ])
