"""Evidence: CenterNet with FlatteNet, half as wide as its bccd recipe.

Its groups have the paper's 64 channels.
"""
_base_ = '../../flattenet/centernet-flattenet_r18_1xb8-20e_bccd.py'

model = dict(
    backbone=dict(stem_channels=16, base_channels=16),
    neck=dict(
        in_channels=128,
        layers=[
            dict(
                groups_first=2,
                groups_second=2,
                kernel_size=5,
                multiplier=16)
        ]))
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
