"""FlatteNet, ResNet-101, PASCAL-Context 59 classes, 480x480 (Table VIII).

`--tta` tests at five scales with flips, the table's last row.
"""
_base_ = [
    '../_base_/models/flattenet_r101.py',
    '../_base_/datasets/pascal_context_59_scale.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/flattenet_62k.py'
]
crop_size = (480, 480)
model = dict(
    data_preprocessor=dict(size=crop_size),
    # "With the input size of 480x480": windows, as the host tests the rivals.
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(320, 320)))
