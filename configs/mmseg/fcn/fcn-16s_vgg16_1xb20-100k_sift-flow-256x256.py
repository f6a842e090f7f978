"""Table 5, FCN-16s on the 33 semantic classes of SIFT Flow."""
_base_ = [
    '../_base_/models/fcn-16s_vgg16.py',
    '../_base_/datasets/sift_flow.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(decode_head=dict(num_classes=33))
load_from = ('work_dirs/fcn-32s_vgg16_1xb20-100k_sift-flow-256x256/'
             'iter_100000.pth')
optim_wrapper = dict(optimizer=dict(lr=1e-6))
