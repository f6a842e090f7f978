"""FlatteNet, ResNet-50 from scratch, one epoch of a hundred COCO images.

A check that the whole network trains and is evaluated on real COCO persons;
one epoch teaches it little.
"""
_base_ = 'td-hm_flattenet-res50_8xb64-210e_coco-256x192.py'

train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = [
    dict(
        type='LinearLR', begin=0, end=50, start_factor=0.001, by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=1))

model = dict(backbone=dict(init_cfg=None))

data_root = 'data/coco_keypoints_mini/'
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='images/')))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        bbox_file=None,
        data_prefix=dict(img='images/')))
test_dataloader = val_dataloader

val_evaluator = [
    dict(
        type='CocoMetric',
        ann_file=f'{data_root}annotations/person_keypoints_val.json'),
    dict(type='PCKAccuracy', thr=0.2, norm_item='bbox')
]
test_evaluator = val_evaluator
