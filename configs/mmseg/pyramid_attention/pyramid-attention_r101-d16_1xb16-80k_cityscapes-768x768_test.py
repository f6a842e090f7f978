"""The Cityscapes test set for its server (Table 7): nothing is scored.

`mim test`, with `--tta` too, writes label ids to `work_dirs/cityscapes-test`,
one picture named as its image. Wants `pip install cityscapesscripts`.
"""
_base_ = './pyramid-attention_r101-d16_1xb16-80k_cityscapes-768x768.py'
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path='leftImg8bit/test', seg_map_path='gtFine/test'),
        # No labels are read.
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='PackSegInputs')
        ]))
test_evaluator = dict(
    _delete_=True,
    type='CityscapesMetric',
    format_only=True,
    keep_results=True,
    output_dir='work_dirs/cityscapes-test')
# The base's views, without labels.
load, views = _base_.tta_pipeline
scales, flips, *_ = views['transforms']
tta_pipeline = [
    load,
    dict(
        type='TestTimeAug',
        transforms=[scales, flips, [dict(type='PackSegInputs')]])
]
