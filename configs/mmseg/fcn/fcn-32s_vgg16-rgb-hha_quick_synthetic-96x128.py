"""Late fusion of colour and HHA, narrow VGG16s, on synthetic rooms.

    python tools/make_data.py rooms data/synthetic/rooms --difficulty easy

draws the rooms; everything is trained from nothing.
"""
_base_ = './fcn-32s_vgg16-rgb-hha_1xb20-100k_nyudv2-480x640.py'
crop_size = (96, 128)
stream = dict(
    type='mmdense.ConvolutionalClassifier',
    classifier=dict(
        type='VGG16', base_channels=8, fc_channels=128, dropout=0))
model = dict(
    backbone=dict(streams=[stream, stream]),
    decode_head=dict(in_channels=[6, 256], num_classes=3))
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdense.LoadDepth'),
    dict(type='mmdense.EncodeHHA', camera=(103.8, 103.8, 64, 48)),
    dict(type='mmdense.StackParts', parts=['colour', 'hha']), _base_.labels,
    dict(type='PackSegInputs')
]
rooms = dict(
    type='BaseSegDataset',
    reduce_zero_label=True,
    data_root='data/synthetic/rooms',
    metainfo=dict(classes=('wall', 'floor', 'box')),
    pipeline=pipeline)
train_dataloader = dict(batch_size=4, num_workers=1, dataset=rooms)
val_dataloader = dict(num_workers=1, dataset=rooms)
test_dataloader = val_dataloader
# AdamW, because 100 iterations are too few for SGD from nothing.
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=5e-4, weight_decay=1e-4))
train_cfg = dict(max_iters=100, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
