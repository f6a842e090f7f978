"""Table 4, "FCN-16s RGB-HHA", fine-tuned from the FCN-32s of both."""
_base_ = './fcn-32s_vgg16-rgb-hha_1xb20-100k_nyudv2-480x640.py'
load_from = ('work_dirs/fcn-32s_vgg16-rgb-hha_1xb20-100k_nyudv2-480x640/'
             'iter_100000.pth')
stream = dict(
    type='mmdense.ConvolutionalClassifier', classifier=dict(type='VGG16'))
model = dict(
    backbone=dict(streams=[stream, stream]),
    decode_head=dict(
        in_channels=[6, 1024, 8192],
        in_index=[0, 2, 3],
        upsampling=[dict(factor=2, crop=5),
                    dict(factor=16, crop=27)]))
# "The learning rate is decreased by a factor of 100."
optim_wrapper = dict(optimizer=dict(lr=1e-6))
