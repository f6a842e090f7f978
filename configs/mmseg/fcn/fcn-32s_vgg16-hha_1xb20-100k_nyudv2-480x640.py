"""Table 4, "FCN-32s HHA": depth alone, encoded as three channels.

They start from the weights for colours. Mean and deviation are those of mid
grey, not measured on the set.
"""
_base_ = [
    '../_base_/models/fcn-32s_vgg16.py',
    '../_base_/datasets/nyudv2_hha.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/fcn_100k.py'
]
model = dict(
    data_preprocessor=dict(
        mean=[127.5] * 3, std=[57.] * 3, bgr_to_rgb=False),
    decode_head=dict(num_classes=40))
