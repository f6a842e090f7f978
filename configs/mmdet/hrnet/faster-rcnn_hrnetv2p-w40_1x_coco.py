"""Faster R-CNN on HRNetV2p-W40, COCO: the host's own system."""
_base_ = 'mmdet::hrnet/faster-rcnn_hrnetv2p-w40-1x_coco.py'
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
