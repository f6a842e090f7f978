"""FlatteNet, ResNet-50 from scratch, one epoch of LSP Extended, 256x192.

A check that the whole network trains on real photographs; one epoch teaches
it little.
"""
_base_ = [
    'td-hm_flattenet-res50_8xb64-210e_coco-256x192.py', '../_base_/lspet.py'
]

train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = [
    dict(
        type='LinearLR', begin=0, end=50, start_factor=0.001, by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=1, save_best='PCK', rule='greater'))

model = dict(backbone=dict(init_cfg=None), head=dict(out_channels=14))

_dataset = dict(
    data_root='data/lspet/',
    data_prefix=dict(img='images/'),
    metainfo=_base_.dataset_info)
train_dataloader = dict(
    batch_size=32, dataset=dict(ann_file='annotations/train.json', **_dataset))
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/val.json', bbox_file=None, **_dataset))
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True, type='PCKAccuracy', thr=0.2, norm_item='bbox')
test_evaluator = val_evaluator
