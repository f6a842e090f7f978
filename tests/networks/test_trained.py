"""A network knows its classes without its data set's files."""
from pathlib import Path

import pytest

from mmdense.networks import load_config
from mmdense.networks.trained import load_network

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


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
