"""Evidence: offsets that learn twenty times as fast, so that they move."""
_base_ = './td-hm_ssn-3block_1xb16-sizes-4e_evidence-lspet-96x96.py'

optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'shift.offset': dict(lr_mult=20 / 3)}))
