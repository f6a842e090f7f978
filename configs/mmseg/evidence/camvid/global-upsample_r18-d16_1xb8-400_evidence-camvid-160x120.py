"""Evidence: global attention upsamples, no attention (Table 3)."""
_base_ = './pyramid-attention_r18-d16_1xb8-400_evidence-camvid-160x120.py'
model = dict(decode_head=dict(attention=None))
