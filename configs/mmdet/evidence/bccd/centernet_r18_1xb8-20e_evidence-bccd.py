"""Evidence: CenterNet with three deconvolutions, none of them deformable.

mmdet's BasicBlock takes no deformable convolution, so neither arm has any.
"""
_base_ = './centernet-flattenet_r18_1xb8-20e_evidence-bccd.py'

model = dict(
    neck=dict(
        _delete_=True,
        type='CTResNetNeck',
        in_channels=128,
        num_deconv_filters=(64, 32, 32),
        num_deconv_kernels=(4, 4, 4),
        use_dcn=False))
