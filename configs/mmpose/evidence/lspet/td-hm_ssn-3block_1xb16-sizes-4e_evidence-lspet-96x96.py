"""Evidence: offsets that learn at the paper's own rate, 1e-3.

They start wider than the paper's: see td-hm_ssn-3block_1xb16-4e.
"""
_base_ = './td-hm_3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

model = dict(
    backbone=dict(
        shift=dict(
            shift_channels=64, attention='sigmoid', offset_std=3.0)))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmdense.DelayedInsertionHook', begin=40),
    dict(type='mmdense.OffsetCheckHook', interval=100)
]
