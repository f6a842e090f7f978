"""SIFT Flow, 33 semantic classes, 2488 and 200 images of 256x256.

`data/sift_flow/images/*.jpg`, `data/sift_flow/semantic/*.png` (0 is void, 1
to 33 the classes) and the lists of names `data/sift_flow/{train,test}.txt`.
configs/mmseg/fcn/README.md says how to write the labels as pictures.
"""
_base_ = './nyudv2.py'
crop_size = (256, 256)
scenes = dict(
    type='mmdense.SIFTFlowDataset',
    data_root='data/sift_flow',
    data_prefix=dict(seg_map_path='semantic'))
train_dataloader = dict(dataset=scenes)
val_dataloader = dict(dataset=scenes)
test_dataloader = val_dataloader
