"""Evidence: feature pyramid attention, no decoder (Tables 1 and 2)."""
_base_ = './pyramid-attention_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(decode_head=dict(upsample=None))
