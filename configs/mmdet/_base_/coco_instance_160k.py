"""COCO instances, 160k iterations of 8 GPUs with 2 images (Section 3.1).

The paper names no warm-up; the host's 500 iterations stay.
"""
_base_ = [
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/default_runtime.py'
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=160000, val_interval=20000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR',
        begin=0,
        end=160000,
        by_epoch=False,
        milestones=[120000],
        gamma=0.1)
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=20000),
    check=dict(type='mmdense.CheckpointCheckHook'))
log_processor = dict(by_epoch=False)
