"""HRNetV2-W48 + OCR, Cityscapes 512x1024 (Table 3)."""
_base_ = './hrnetv2_w48_4xb3-120k_cityscapes-512x1024.py'
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
