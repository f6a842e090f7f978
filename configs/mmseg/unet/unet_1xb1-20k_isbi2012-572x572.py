"""U-Net as published, on ISBI 2012: border weights, elastic deformation."""
_base_ = [
    '../_base_/models/valid-unet.py', '../_base_/datasets/isbi2012.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
tta_model = dict(type='mmdense.ProbabilityTTAModel')
# The paper names the momentum alone.
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, momentum=0.99, weight_decay=0))
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
