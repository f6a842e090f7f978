"""Fine-tuning on VOC 2012 trainval before the test server (Section 4.2).

The paper states neither learning rate nor iterations: a tenth and half are
ours. Validation images are training images here; `mim test` writes the label
maps of the test set, which has no public labels, to `work_dirs/voc12test`.
"""
_base_ = './pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512.py'
load_from = ('work_dirs/pyramid-attention_r101-d16_1xb16-40k_voc12aug-512x512/'
             'iter_40000.pth')
train_dataloader = dict(
    dataset=dict(
        _base_.dataset_train,
        _delete_=True,
        ann_file='ImageSets/Segmentation/trainval.txt',
        pipeline=_base_.train_pipeline))
test_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/Segmentation/test.txt',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='PackSegInputs')
        ]))
test_evaluator = dict(format_only=True, output_dir='work_dirs/voc12test')
# The base's views, without labels.
load, views = _base_.tta_pipeline
scales, flips, *_ = views['transforms']
tta_pipeline = [
    load,
    dict(
        type='TestTimeAug',
        transforms=[scales, flips, [dict(type='PackSegInputs')]])
]

optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=20000,
        by_epoch=False)
]
train_cfg = dict(max_iters=20000, val_interval=2000)
