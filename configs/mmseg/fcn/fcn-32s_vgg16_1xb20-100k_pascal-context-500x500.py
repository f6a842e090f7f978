"""FCN-32s on PASCAL-Context, 60 classes: where FCN-16s starts."""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/pascal_context_whole.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(decode_head=dict(num_classes=60))
