"""FCN-8s on a narrow VGG16, on synthetic people, in minutes.

    python tools/make_data.py segmentation data/synthetic/people-masks \\
        --size 128 128 --difficulty easy --classes person

writes the images; everything is trained from nothing, all strides at once.
"""
_base_ = [
    '../_base_/models/fcn-8s_vgg16.py',
    '../_base_/datasets/synthetic_people.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
model = dict(
    backbone=dict(
        classifier=dict(base_channels=8, fc_channels=128, dropout=0)),
    decode_head=dict(in_channels=[3, 32, 64, 128], num_classes=2))
val_evaluator = dict(
    _delete_=True,
    type='mmdense.SegEvaluator',
    metrics=[
        dict(type='IoUMetric', iou_metrics=['mIoU']),
        dict(type='mmdense.SegmentationScores')
    ])
test_evaluator = val_evaluator
# AdamW, because 150 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=5e-4, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=150,
        by_epoch=False)
]
train_cfg = dict(max_iters=150, val_interval=150)
default_hooks = dict(
    checkpoint=dict(interval=150),
    check=dict(type='mmdense.CheckpointCheckHook'))
randomness = dict(seed=0)
