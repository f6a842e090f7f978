"""Quick start: HRNetV1-W8, from scratch, on synthetic people.

`python tools/make_data.py pose data/synthetic/pose --train 2000 --val 300
--size 192 144 --difficulty easy` writes the data.
"""
_base_ = [
    'td-hm_hrnetv1-w32_4xb32-210e_coco-256x192.py',
    '../_base_/synthetic_people.py'
]

train_cfg = dict(max_epochs=10, val_interval=5)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=10,
        convert_to_iter_based=True)
]
auto_scale_lr = None
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        interval=1, max_keep_ckpts=2, save_best=None, rule=None))
randomness = dict(seed=0)

streams = (8, 16, 32, 64)
model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(2, ), num_channels=(16, )),
            stage2=dict(num_blocks=(2, 2), num_channels=streams[:2]),
            stage3=dict(
                num_modules=1, num_blocks=(2, 2, 2),
                num_channels=streams[:3]),
            stage4=dict(
                num_modules=1,
                num_blocks=(2, 2, 2, 2),
                num_channels=streams)),
        init_cfg=None),
    head=dict(in_channels=8, decoder=_base_.people_codec))

codec = _base_.people_codec
train_dataloader = dict(
    batch_size=16, num_workers=1, dataset=_base_.people_train)
val_dataloader = dict(num_workers=1, dataset=_base_.people_val)
test_dataloader = val_dataloader
val_evaluator = _base_.people_metrics
test_evaluator = val_evaluator
