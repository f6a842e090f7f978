"""U-Net as published, on PhC-C2DH-U373 (slide 33)."""
_base_ = './unet_1xb1-20k_dic-hela-572x572.py'
data_root = 'data/PhC-C2DH-U373'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
