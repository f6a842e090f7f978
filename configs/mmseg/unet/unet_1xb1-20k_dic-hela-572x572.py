"""U-Net as published, on DIC-C2DH-HeLa: cells that touch (slide 33).

Mean and deviation are those of mid grey, not measured on the set.
"""
_base_ = [
    '../_base_/models/valid-unet.py', '../_base_/datasets/cell_tracking.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py'
]
tta_model = dict(type='mmdense.ProbabilityTTAModel')
model = dict(data_preprocessor=dict(mean=[127.5], std=[127.5]))
# As unet_1xb1-20k_isbi2012-572x572.py.
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, momentum=0.99, weight_decay=0))
default_hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'))
