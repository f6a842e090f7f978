"""Table 2, "FCN-32s": with the labels of SBD."""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/voc12aug_whole.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
