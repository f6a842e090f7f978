"""Evidence: three blocks, trained on crops of 0.6 to 1.6 times the size."""
_base_ = './td-hm_3block_1xb16-4e_evidence-lspet-96x96.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_prob=0,
        scale_factor=(0.6, 1.6),
        scale_prob=1),
    *_base_.train_pipeline[2:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
