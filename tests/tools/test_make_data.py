"""The command line is one call of the library."""
import json

import pytest
from by_path import load_tool


@pytest.fixture(scope='module')
def make_data():
    return load_tool('make_data')


@pytest.mark.parametrize('kind', ['pose', 'segmentation', 'detection',
                                  'membranes'])
def test_every_kind_is_written_as_asked(make_data, kind, tmp_path, capsys):
    line = [kind, str(tmp_path / 'set'), '--train', '2', '--val', '1',
            '--size', '40', '56', '--seed', '5', '--difficulty', 'easy',
            '--workers', '1']
    make_data.main(line)
    manifest = json.loads((tmp_path / 'set/manifest.json').read_text())
    wants = dict(kind=kind, train=2, val=1, size=[40, 56], seed=5,
                 difficulty='easy')
    assert wants.items() <= manifest['arguments'].items()
    make_data.main(line)
    assert 'reused' in capsys.readouterr().out


def test_a_bad_argument_ends_with_one_line(make_data, tmp_path):
    out = str(tmp_path / 'set')
    with pytest.raises(SystemExit, match="make_data: difficulty .* 'brutal'"):
        make_data.main(['pose', out, '--difficulty', 'brutal'])
    with pytest.raises(SystemExit, match='--classes does not go with pose'):
        make_data.main(['pose', out, '--classes', 'cat'])
    (tmp_path / 'other').touch()
    with pytest.raises(SystemExit, match='not empty and has no manifest'):
        make_data.main(['pose', str(tmp_path)])
