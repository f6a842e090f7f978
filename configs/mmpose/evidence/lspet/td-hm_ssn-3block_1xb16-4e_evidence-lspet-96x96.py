"""Evidence: 3Block + 3FSM, a quarter as wide.

The offsets have a few hundred iterations, not 400,000: they start wider.
"""
_base_ = './td-hm_3block_1xb16-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        shift=dict(
            shift_channels=64, attention='sigmoid', offset_std=3.0)))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmdense.DelayedInsertionHook', begin=40),
    dict(type='mmdense.OffsetCheckHook', interval=100)
]
