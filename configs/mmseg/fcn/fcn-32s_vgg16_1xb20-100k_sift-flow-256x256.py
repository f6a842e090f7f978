"""FCN-32s on the 33 semantic classes of SIFT Flow: where FCN-16s starts."""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/sift_flow.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(decode_head=dict(num_classes=33))
