"""FlatteNet, ResNet-50 from scratch, one epoch of a hundred COCO images.

A check that the whole network trains and is evaluated on real COCO persons.
"""
_base_ = 'td-hm_flattenet-res50_1xb32-1e_lspet-256x192.py'

train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(save_best='coco/AP'))
model = dict(head=dict(out_channels=17))

_dataset = dict(
    data_root='data/coco_keypoints_mini/',
    data_prefix=dict(img='images/'),
    metainfo=None)
train_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_train.json', **_dataset))
val_dataloader = dict(
    dataset=dict(ann_file='annotations/person_keypoints_val.json', **_dataset))
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='CocoMetric',
        ann_file='data/coco_keypoints_mini/annotations/'
        'person_keypoints_val.json'),
    dict(type='PCKAccuracy', thr=0.2, norm_item='bbox')
]
test_evaluator = val_evaluator
