"""Quick start: Mask R-CNN on HRNetV2p-W8, synthetic scenes.

    python tools/make_data.py detection data/synthetic/detection \\
        --size 128 128 --difficulty easy --classes car cat person

writes the images; everything is trained from nothing.
"""
_base_ = '../mask_rcnn/mask-rcnn_r18-fpn_quick_synthetic.py'
streams = (8, 16, 32, 64)
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNet',
        norm_eval=False,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(2, ),
                num_channels=(16, )),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block='BASIC',
                num_blocks=(2, 2),
                num_channels=streams[:2]),
            stage3=dict(
                num_modules=1,
                num_branches=3,
                block='BASIC',
                num_blocks=(2, 2, 2),
                num_channels=streams[:3]),
            stage4=dict(
                num_modules=1,
                num_branches=4,
                block='BASIC',
                num_blocks=(2, 2, 2, 2),
                num_channels=streams))),
    neck=dict(
        _delete_=True,
        type='HRFPN',
        in_channels=list(streams),
        out_channels=_base_.width))
