"""Evidence: three blocks on crops of several sizes, rates of their own.

Crops of 0.6 to 1.6 times the size. A cosine, which keeps the multipliers of
learning rates, in OneCycleLR's place.
"""
_base_ = './td-hm_3block-sizes_1xb16-4e_evidence-lspet-96x96.py'

optim_wrapper = dict(
    optimizer=dict(lr=3e-3),
    paramwise_cfg=dict(
        custom_keys={
            'rate_regression': dict(lr_mult=1),
            # The paper's 1e-3.
            'shift.offset': dict(lr_mult=1 / 3)
        }))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        T_max=4,
        eta_min=1e-5,
        begin=0,
        end=4,
        convert_to_iter_based=True)
]
