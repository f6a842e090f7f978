"""Evidence: sigmoid masks and RoIAlign, the quick start's network.

Half its iterations; its first lines say how the images are made.
"""
_base_ = '../../mask_rcnn/mask-rcnn_r18-fpn_quick_synthetic.py'
iterations = 500
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=iterations,
        by_epoch=False)
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
# The figures of a training counted in iterations, under their iteration.
default_hooks = dict(logger=dict(log_metric_by_epoch=False))
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
