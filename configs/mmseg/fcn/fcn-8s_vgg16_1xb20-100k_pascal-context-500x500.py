"""FCN-8s on PASCAL-Context (slide 58), fine-tuned from its FCN-16s."""
_base_ = [
    '../_base_/models/fcn-8s_vgg16.py',
    '../_base_/datasets/pascal_context_whole.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(decode_head=dict(num_classes=60))
load_from = ('work_dirs/fcn-16s_vgg16_1xb20-100k_pascal-context-500x500/'
             'iter_100000.pth')
# "The learning rate is decreased by a factor of 100."
optim_wrapper = dict(optimizer=dict(lr=1e-6))
