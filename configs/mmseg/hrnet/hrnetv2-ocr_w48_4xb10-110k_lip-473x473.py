"""HRNetV2-W48 + OCR, the LIP parts of people, 473x473 (Table 6)."""
_base_ = './hrnetv2_w48_4xb10-110k_lip-473x473.py'
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
