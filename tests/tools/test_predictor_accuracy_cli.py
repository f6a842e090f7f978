"""The table of accuracies by predictor, and what it refuses."""
import json
from pathlib import Path

import pytest
import torch
from by_path import load_tool

pytest.importorskip('mmpose')

from mmdense.datasets import make_pose_set  # noqa: E402
from mmdense.networks import build_model, load_config  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'mmpose'
CONFIG = (CONFIGS / 'spatial_shortcut' /
          'td-hm_ssn-narrow-res50_quick_synthetic-128x96.py')


@pytest.fixture(scope='module')
def tool():
    return load_tool('predictor_accuracy')


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    make_pose_set(folder, train=1, val=3, size=(128, 96), workers=1)
    torch.manual_seed(0)
    model = build_model(load_config(CONFIG))
    # Two that answer alike, whatever they see.
    for name in ('E1', 'P4'):
        for parameter in model.head.predictors[name].parameters():
            torch.nn.init.zeros_(parameter)
    path = folder / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return [
        str(CONFIG), str(path), '--cfg-options',
        f'test_dataloader.dataset.data_root={folder}/',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False'
    ]


def test_every_predictor_has_a_row_of_every_metric(
        tool, given, tmp_path, capsys):
    out = tmp_path / 'table.json'
    assert tool.main(
        [*given, '--out', str(out), '--work-dir', str(tmp_path)]) == 0
    found = json.loads(out.read_text())
    assert list(found) == ['E1', 'E2', 'E3', 'P1', 'P2', 'P3', 'P4']
    for row in found.values():
        assert list(row) == ['PCK', '0.1/PCK']
        assert row['0.1/PCK'] <= row['PCK']
    assert found['E1'] == found['P4'] != found['E2']
    rows = capsys.readouterr().out.splitlines()[-7:]
    assert [row.split()[0] for row in rows] == list(found)


def test_a_network_of_one_answer_is_refused(tool, tmp_path, capsys):
    checkpoint = tmp_path / 'weights.pth'
    checkpoint.touch()
    config = (CONFIGS / 'flattenet' /
              'td-hm_flattenet-res18_quick_synthetic-128x96.py')
    assert tool.main([str(config), str(checkpoint)]) == 2
    assert 'MultiPredictorHead' in capsys.readouterr().err


def test_a_missing_checkpoint_is_named(tool, capsys):
    assert tool.main([str(CONFIG), 'nowhere.pth']) == 2
    assert 'nowhere.pth: no such checkpoint' in capsys.readouterr().err
