"""Table 2, "FCN-32s-fixed": only the score layer is trained."""
_base_ = './fcn-32s_vgg16_1xb20-100k_voc12aug-500x500.py'
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(backbone=dict(lr_mult=0., decay_mult=0.))))
