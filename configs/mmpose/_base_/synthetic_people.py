"""Synthetic people at 128x96, for quick starts.

`python tools/make_data.py pose data/synthetic/pose --train 2000 --val 300
--size 192 144 --difficulty easy` writes them. A recipe takes what it wants
by name: a host's recipe already has dataloaders, and two bases of one config
must not both.
"""
people_codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2)
people_root = 'data/synthetic/pose/'
people_train = dict(
    data_root=people_root,
    ann_file='annotations/person_keypoints_train.json',
    data_prefix=dict(img='images/'),
    pipeline=[
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal'),
        dict(
            type='RandomBBoxTransform',
            shift_prob=0,
            rotate_factor=15,
            scale_factor=(0.75, 1.25)),
        dict(type='TopdownAffine', input_size=people_codec['input_size']),
        dict(type='GenerateTarget', encoder=people_codec),
        dict(type='PackPoseInputs')
    ])
people_val = dict(
    data_root=people_root,
    ann_file='annotations/person_keypoints_val.json',
    bbox_file=None,
    data_prefix=dict(img='images/'),
    pipeline=[
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=people_codec['input_size']),
        dict(type='PackPoseInputs')
    ])
# Predicting the same average person everywhere is right for most joints at
# 0.2 of the box: 0.1 tells more.
people_metrics = [
    dict(type='PCKAccuracy', thr=0.2, norm_item='bbox'),
    dict(type='PCKAccuracy', thr=0.1, norm_item='bbox', prefix='0.1')
]
