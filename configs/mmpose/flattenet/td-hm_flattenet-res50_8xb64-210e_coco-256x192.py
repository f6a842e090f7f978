"""FlatteNet, ResNet-50, COCO 256x192, with the host's COCO schedule.

Not in the paper.
"""
_base_ = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
          'td-hm_res50_8xb64-210e_coco-256x192.py')

default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))

model = dict(
    neck=dict(
        type='mmdense.FlatteningNeck',
        in_channels=2048,
        upscale=8,
        layers=[dict(groups_first=32, groups_second=64)]),
    head=dict(
        in_channels=32, deconv_out_channels=None, deconv_kernel_sizes=None))
