"""Masks of synthetic people, two classes, 128x128.

    python tools/make_data.py segmentation data/synthetic/people-masks \\
        --size 128 128 --difficulty easy --classes person

writes the images.
"""
_base_ = './synthetic_scenes.py'
people = dict(
    type='BaseSegDataset',
    metainfo=dict(
        classes=('background', 'person'),
        palette=[[0, 0, 0], [192, 128, 128]]),
    data_root='data/synthetic/people-masks/VOC2012')
train_dataloader = dict(dataset=people)
val_dataloader = dict(dataset=people)
test_dataloader = val_dataloader
