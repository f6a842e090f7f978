"""The feature shift tool writes its pictures and names what is wrong."""
import json
from pathlib import Path

import pytest
import torch
from by_path import load_tool

pytest.importorskip('mmpose')

from mmdense.datasets import make_pose_set  # noqa: E402
from mmdense.networks import build_model, load_config  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / 'configs' / 'mmpose' / 'spatial_shortcut' /
          'td-hm_ssn-3block-k256_quick_synthetic-128x96.py')
SMALL = {
    'model.backbone.stem_channels': 8,
    'model.backbone.base_channels': 4,
    'model.backbone.norm_cfg.num_groups': 4,
    'model.backbone.shift.shift_channels': 6,
    'model.head.in_channels': 16,
    'model.head.groups': 4,
}


@pytest.fixture(scope='module')
def tool():
    return load_tool('feature_shift')


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    make_pose_set(folder, train=1, val=4, size=(128, 96), workers=1)
    config = load_config(CONFIG)
    config.merge_from_dict(dict(SMALL))
    path = folder / 'weights.pth'
    torch.save(dict(state_dict=build_model(config).state_dict()), path)
    options = SMALL | {'test_dataloader.dataset.data_root': f'{folder}/'}
    return [
        str(CONFIG), str(path), '--people', '2', '--cfg-options',
        *(f'{key}={value}' for key, value in options.items())
    ]


def test_pictures_and_numbers_are_written(tool, given, tmp_path, capsys):
    assert tool.main([*given, '--out', str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        'offsets.png', 'related.png', 'contributions.png', 'field.png',
        'shift.json'}
    found = json.loads((tmp_path / 'shift.json').read_text())
    assert found['module'] == 'backbone.shift1_3'
    assert len(found['scores']['shifted']) == 17
    assert len(found['offsets']) == 3
    # Figure 6 has names along its axis.
    assert found['keypoints'][0] == 'nose'
    assert found['keypoints'][-1] == 'right_ankle'
    printed = capsys.readouterr().out
    assert 'backbone.shift1_1: 6 offsets' in printed
    assert 'channels by keypoint: nose ' in printed


@pytest.mark.parametrize('more, message', [
    (['--module', 'neck'], 'module must be one of backbone.shift1_1'),
    (['--channel', '99'], 'channel must be 0 to 15, got 99'),
    (['--point', '1', '99'], 'every point must be inside (32, 24)'),
    (['--predictor', 'E1'], 'predictor must be one of P1'),
])
def test_what_is_not_there_is_named(tool, given, tmp_path, capsys, more,
                                    message):
    assert tool.main([*given, '--out', str(tmp_path), *more]) == 2
    assert message in capsys.readouterr().err
