"""FCN-8s on VOC 2011, fine-tuned from its FCN-16s (Section 4.2)."""
_base_ = [
    '../_base_/models/fcn-8s_vgg16.py',
    '../_base_/datasets/voc11_whole.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
load_from = ('work_dirs/fcn-16s_vgg16_1xb20-100k_voc11-500x500/'
             'iter_100000.pth')
# "The learning rate is decreased by a factor of 100."
optim_wrapper = dict(optimizer=dict(lr=1e-6))
