"""tools/receptive_field.py on a small pose network."""
import json

import pytest
from by_path import load_tool

pytest.importorskip('mmpose')
# 7x7/2, then a 3x3/2 pool: 7 + 2 * 2 = 11; then four 3x3 at stride 4.
POSE = '''
default_scope = 'mmpose'
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(type='ResNet', depth=18, out_indices=(0, )),
    head=dict(type='HeatmapHead', in_channels=64, out_channels=16,
              deconv_out_channels=None, loss=dict(type='KeypointMSELoss')))
'''


@pytest.fixture
def tool():
    return load_tool('receptive_field')


@pytest.fixture
def pose(tmp_path):
    file = tmp_path / 'pose.py'
    file.write_text(POSE)
    return str(file)


def test_json_names_layers_stride_and_size(tool, pose, capsys):
    assert tool.main([pose, '--shape', '64', '96', '--json']) == 0
    out = json.loads(capsys.readouterr().out)
    assert out['backbone.layer1'] == dict(
        layers=5, stride=['4', '4'], size=['43', '43'])
    assert out['output']['layers'] == 6


def test_table_can_show_one_module(tool, pose, capsys):
    argv = [pose, '--shape', '64', '96', '--module', 'backbone.maxpool']
    assert tool.main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].endswith('11 x 11')


@pytest.mark.parametrize('argv, message', [
    ([], 'the config says no input size: give --shape'),
    (['--shape', '64', '96', '--module', 'nose'],
     '--module nose: no such module ran'),
])
def test_bad_input_is_one_line(tool, pose, capsys, argv, message):
    assert tool.main([pose, *argv]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
