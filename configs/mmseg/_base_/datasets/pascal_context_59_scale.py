"""PASCAL-Context, 59 classes, scaled, cropped and flipped, in batches of 8.

Section IV-B: no colours are changed and no crop is rejected. The host's
sides of 520 are those of the strategy the paper follows; so are test images
and, times 0.5 to 1.5, those of `--tta`.
"""
_base_ = 'mmseg::_base_/datasets/pascal_context_59.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(
        type='RandomResize',
        scale=(520, 520),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=(480, 480)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
tta_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='Resize', scale=(side, side), keep_ratio=True)
            for side in (260, 390, 520, 650, 780)
        ],
                    [
                        dict(type='RandomFlip', prob=0.),
                        dict(type='RandomFlip', prob=1.)
                    ], [dict(type='LoadAnnotations')],
                    [dict(type='PackSegInputs')]])
]
