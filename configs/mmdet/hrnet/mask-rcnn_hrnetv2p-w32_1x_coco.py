"""Mask R-CNN on HRNetV2p-W32, COCO: the host's own system."""
_base_ = 'mmdet::hrnet/mask-rcnn_hrnetv2p-w32-1x_coco.py'
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
