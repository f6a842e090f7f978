"""A network knows its classes without its data set's files."""
from pathlib import Path

import pytest

from mmdense.networks import load_config
from mmdense.networks.trained import load_network

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


QUICK = CONFIGS / 'mmseg/flattenet/flattenet_r18_quick_synthetic-128x128.py'


def test_classes_come_from_the_first_part_of_a_wrapper():
    pytest.importorskip('mmseg')
    config = load_config(QUICK)
    part = dict(config.test_dataloader.dataset, metainfo=dict(
        classes=('background', 'cell'), palette=[[0] * 3, [9] * 3]))
    config.test_dataloader.dataset = dict(
        type='RepeatDataset', times=2,
        dataset=dict(type='ConcatDataset', datasets=[part, part]))
    meta = load_network(config, None).dataset_meta
    assert meta['classes'] == ('background', 'cell')


def test_the_meta_of_joined_pose_sets_is_their_wrappers():
    pytest.importorskip('mmpose')
    config = load_config(
        CONFIGS / 'mmpose/flattenet/td-hm_flattenet-res18_quick_synthetic-'
        '128x96.py')
    config.test_dataloader.dataset = dict(
        type='CombinedDataset', datasets=[config.test_dataloader.dataset] * 2,
        metainfo=dict(from_file='configs/_base_/datasets/mpii.py'))
    assert load_network(config, None).dataset_meta['dataset_name'] == 'mpii'


def test_without_meta_no_data_set_is_built():
    pytest.importorskip('mmseg')
    config = load_config(QUICK)
    config.test_dataloader.dataset = dict(type='Gone')
    with pytest.raises(ValueError, match='test data set does not build'):
        load_network(config, None)
    assert not hasattr(load_network(config, None, meta=False), 'dataset_meta')


@pytest.mark.parametrize('name, classes', [
    ('pyramid_attention/pyramid-attention_r18-d16_quick_synthetic-128x128',
     ['background', 'aeroplane']),
    ('flattenet/flattenet_r18_quick_synthetic-128x128',
     ['background', 'person']),
])
def test_classes_come_from_a_data_set_that_is_not_there(
        name, classes, tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    config = load_config(CONFIGS / 'mmseg' / f'{name}.py')
    monkeypatch.chdir(tmp_path)
    assert list(load_network(config, None).dataset_meta['classes'][:2]) == \
        classes
