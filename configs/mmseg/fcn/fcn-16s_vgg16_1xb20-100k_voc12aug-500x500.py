"""FCN-16s on VOC 2012 and SBD, fine-tuned from its FCN-32s (Section 4.2)."""
_base_ = [
    '../_base_/models/fcn-16s_vgg16.py',
    '../_base_/datasets/voc12aug_whole.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
load_from = ('work_dirs/fcn-32s_vgg16_1xb20-100k_voc12aug-500x500/'
             'iter_100000.pth')
# "The learning rate is decreased by a factor of 100."
optim_wrapper = dict(optimizer=dict(lr=1e-6))
