"""Table 4, "FCN-32s RGB": NYUDv2, 40 classes, colour alone."""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/nyudv2.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(decode_head=dict(num_classes=40))
