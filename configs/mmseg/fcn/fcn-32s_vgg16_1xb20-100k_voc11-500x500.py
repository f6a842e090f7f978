"""Table 1, "FCN-VGG16": FCN-32s on the 1112 training images of VOC 2011."""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/voc11_whole.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
