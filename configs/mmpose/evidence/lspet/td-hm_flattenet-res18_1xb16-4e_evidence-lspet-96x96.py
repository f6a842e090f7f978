"""Evidence: the Flattening Module in place of three deconvolutions.

Its groups have the paper's 64 and 32 channels.
"""
_base_ = './td-hm_res18_1xb16-4e_evidence-lspet-96x96.py'

model = dict(
    neck=dict(
        type='mmdense.FlatteningNeck',
        in_channels=128,
        upscale=8,
        layers=[dict(groups_first=2, groups_second=4, multiplier=8)]),
    head=dict(
        in_channels=16, deconv_out_channels=None, deconv_kernel_sizes=None))
