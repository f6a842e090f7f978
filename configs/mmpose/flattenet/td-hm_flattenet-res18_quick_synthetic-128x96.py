"""Quick start: a narrow FlatteNet, from scratch, on synthetic people.

`python tools/make_data.py pose data/synthetic/pose --train 2000 --val 300
--size 192 144 --difficulty easy` writes the data.
"""
_base_ = [
    'td-hm_flattenet-res50_8xb64-210e_coco-256x192.py',
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

model = dict(
    backbone=dict(
        depth=18, stem_channels=32, base_channels=32, init_cfg=None),
    neck=dict(
        in_channels=256,
        layers=[dict(groups_first=16, groups_second=16, multiplier=4)]),
    head=dict(in_channels=16, decoder=_base_.people_codec))

codec = _base_.people_codec
train_dataloader = dict(
    batch_size=16, num_workers=1, dataset=_base_.people_train)
val_dataloader = dict(num_workers=1, dataset=_base_.people_val)
test_dataloader = val_dataloader
val_evaluator = _base_.people_metrics
test_evaluator = val_evaluator
