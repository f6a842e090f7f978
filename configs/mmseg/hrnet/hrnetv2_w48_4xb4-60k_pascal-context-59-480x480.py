"""HRNetV2-W48, PASCAL-Context without background, 480x480 (Table 5)."""
_base_ = [
    '../_base_/models/hrnetv2_w48.py',
    '../_base_/datasets/pascal_context_59_scale.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/hrnet_60k.py'
]
crop_size = (480, 480)
model = dict(
    data_preprocessor=dict(size=crop_size), decode_head=dict(num_classes=59))
train_dataloader = dict(batch_size=4)
