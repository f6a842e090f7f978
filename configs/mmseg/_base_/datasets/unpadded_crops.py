"""Loading and crops for the U-Net, one at a time.

Training crops of 572x572 out of pictures mirrored outwards by 92 pixels, which
is what U-Net's unpadded convolutions lose on each side: the crop's middle,
388x388, is always true.
"""
# One of three equal channels: read as grey, an image would do here, but not in
# mmseg's inferencer, which hands over three.
grey = dict(type='RandomGrayscale', prob=1., channel_weights=(1, 0, 0))
crop_size = (572, 572)
context = 92
elastic = dict(type='mmdense.ElasticDeformation')
turn = dict(type='RandomRotFlip', rotate_prob=0, flip_prob=1)
# It always mirrors. Twice, half of the time: all eight orientations alike.
turn_again = dict(turn, flip_prob=0.5)
pad = dict(type='mmdense.MirrorPad', context=context)
crop = dict(type='RandomCrop', crop_size=crop_size)
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
