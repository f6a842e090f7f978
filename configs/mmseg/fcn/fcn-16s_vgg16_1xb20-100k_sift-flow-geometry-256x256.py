"""Table 5, FCN-16s on the 3 geometric classes of SIFT Flow.

The paper trains one network with two heads and says that two networks score
alike; this is the second network, on the same images. It starts from the
classifier at the rate of FCN-32s: no coarser one of these classes is there.
"""
_base_ = './fcn-16s_vgg16_1xb20-100k_sift-flow-256x256.py'
load_from = None
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='pretrain/vgg16_fully-convolutional.pth')),
    decode_head=dict(num_classes=3))
geometry = dict(
    type='mmdense.SIFTFlowGeometryDataset',
    data_prefix=dict(seg_map_path='geometry'))
train_dataloader = dict(dataset=geometry)
val_dataloader = dict(dataset=geometry)
test_dataloader = dict(dataset=geometry)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
