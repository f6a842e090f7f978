"""tools/complexity.py: what it prints, and its one-line errors."""
import json

import pytest
from by_path import load_tool

from mmdense import networks
from mmdense.analysis import paper_figures

pytest.importorskip('mmpose')
POSE = '''
default_scope = 'mmpose'
codec = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16),
             sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(type='ResNet', depth=18,
                  init_cfg=dict(type='Pretrained',
                                checkpoint='https://nowhere.invalid/x.pth')),
    head=dict(type='HeatmapHead', in_channels=512, out_channels=16,
              deconv_out_channels=None, loss=dict(type='KeypointMSELoss'),
              decoder=codec))
'''


@pytest.fixture
def tool():
    return load_tool('complexity')


@pytest.fixture
def pose(tmp_path):
    file = tmp_path / 'pose.py'
    file.write_text(POSE)
    return file


def rows_of(monkeypatch, tmp_path, *rows):
    file = tmp_path / 'figures.json'
    file.write_text(json.dumps(rows))
    monkeypatch.setattr(paper_figures, 'PAPER_FIGURES', file)


# ResNet-18 without its classifier, then 16 1x1 filters with bias.
PARAMS = 11_176_512 + 512 * 16 + 16


def test_table_has_the_parts_and_their_total(tool, pose, capsys):
    assert tool.main([str(pose)]) == 0
    out = capsys.readouterr().out
    assert 'input 3 x 64 x 48' in out
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert {'backbone', 'head', 'total'} <= set(names)
    assert f'{PARAMS:,}' in out and 'layer1' not in out


def test_depth_opens_the_tree(tool, pose, capsys):
    assert tool.main([str(pose), '--depth', '2']) == 0
    assert 'backbone.layer1' in capsys.readouterr().out


def test_json_holds_exact_integers_and_shape_is_obeyed(tool, pose, capsys):
    counts = []
    for shape in ((), ('--shape', '128', '48')):
        assert tool.main([str(pose), '--json', *shape]) == 0
        counts.append(json.loads(capsys.readouterr().out))
    small, tall = counts
    assert small['shape'] == [64, 48] and tall['shape'] == [128, 48]
    assert small['total']['params'] == tall['total']['params'] == PARAMS
    assert tall['total']['macs'] == 2 * small['total']['macs']
    assert small['modules']['head']['macs'] == 512 * 16 * 2 * 2


def test_compare_says_match_and_no_match(
        tool, pose, capsys, monkeypatch, tmp_path):
    row = dict(config=str(pose), convention='true', shape=[64, 48])
    rows_of(
        monkeypatch, tmp_path,
        dict(row, id='good', paper_params_M='11.18', computed_params=PARAMS),
        dict(row, id='bad', paper_params_M='11.19', computed_params=PARAMS + 1,
             note='misprint'))
    assert tool.main([str(pose), '--compare']) == 0
    lines = capsys.readouterr().out.splitlines()
    good, = (line for line in lines if line.startswith('good'))
    bad, = (line for line in lines if line.startswith('bad'))
    assert 'NO MATCH' not in good and ' match ' in good and 'exact' in good
    assert 'NO MATCH' in bad and bad.endswith('OFF')
    assert any('misprint' in line for line in lines)


def test_compare_without_a_config_takes_every_row(
        tool, pose, capsys, monkeypatch, tmp_path):
    row = dict(config=str(pose), convention='true')
    rows_of(monkeypatch, tmp_path, dict(row, id='one'), dict(row, id='two'))
    assert tool.main(['--compare', '--json']) == 0
    out = json.loads(capsys.readouterr().out)
    assert [row['id'] for row in out['compare']] == ['one', 'two']
    assert {row['params'] for row in out['compare']} == {PARAMS}


def test_compare_takes_a_config_by_its_name(
        tool, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    name = 'td-hm_flattenet-res18_quick_synthetic-128x96'
    path = networks.find_config(name)
    rows_of(monkeypatch, tmp_path,
            dict(config=str(path), convention='true', id='one'))
    assert tool.main([name, '--compare', '--json']) == 0
    row, = json.loads(capsys.readouterr().out)['compare']
    assert row['id'] == 'one'


def test_a_changed_config_is_compared_with_no_paper(tool, pose, capsys):
    with pytest.raises(SystemExit):
        tool.main([str(pose), '--compare', '--cfg-options', 'a=1'])
    assert '--cfg-options must not be given' in capsys.readouterr().err


def test_compare_says_when_no_paper_has_the_config(tool, pose, capsys):
    assert tool.main([str(pose), '--compare']) == 0
    assert 'no paper prints a figure' in capsys.readouterr().out


@pytest.mark.parametrize('name, text, message', [
    ('gone.py', None, 'gone.py: no such config'),
    ('epoch_1.pth', 'x', 'must be a config (.py), got a checkpoint'),
    ('empty.py', 'a = 1', "empty.py has no 'model'"),
    ('syntax.py', 'model = (', 'syntax.py does not parse as a config'),
    ('base.py', "_base_ = './nowhere.py'", 'nowhere.py'),
    ('scope.py', POSE + "default_scope = 'mmnothing'",
     "default_scope 'mmnothing' is no installed package"),
    ('type.py', POSE + "model['backbone']['type'] = 'ResNette'",
     'type.py: the model does not build: KeyError'),
    ('option.py', POSE + "model['backbone']['dept'] = 18", "'dept'"),
    ('size.py', POSE + "codec = None\nmodel['head']['decoder'] = None",
     'size.py: the config says no input size: give --shape'),
])
def test_bad_input_is_one_line_and_status_two(
        tool, tmp_path, capsys, name, text, message):
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    assert tool.main([str(file)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count('\n') == 1 and captured.out == ''


@pytest.mark.parametrize('argv, message', [
    ([], 'CONFIG must be given'),
    (['a.py', '--shape', '0', '64'], '--shape must be two positive sizes'),
    (['a.py', '--depth', '-1'], '--depth must be at least 0'),
])
def test_bad_options_name_themselves(tool, capsys, argv, message):
    with pytest.raises(SystemExit, match='2'):
        tool.main(argv)
    assert message in capsys.readouterr().err
