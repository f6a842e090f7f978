"""The benchmark of tiles runs, judges, and refuses what does not tile."""
import re

import pytest
from by_path import load_tool

pytest.importorskip('mmseg')
TILED = """
default_scope = 'mmseg'
model = dict(
    type='mmdense.OverlapTileSegmentor',
    backbone=dict(type='mmdense.ValidUNet', base_channels=2, depth=1),
    decode_head=dict(
        type='mmdense.ValidConvHead', in_channels=2, num_classes=2),
    test_cfg=dict(tile=(36, 36)))
"""
WHOLE = """
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='mmdense.ValidUNet', base_channels=2, depth=1),
    decode_head=dict(
        type='mmdense.ValidConvHead', in_channels=2, num_classes=2),
    test_cfg=dict(mode='whole'))
"""


@pytest.fixture(scope='module')
def tool():
    return load_tool('benchmark_overlap_tile')


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiled.py'
    path.write_text(TILED)
    return str(path)


def test_counts_the_tiles_and_gives_the_ratio(tool, config, capsys):
    assert tool.main([config, '--size', '41', '30', '--repeats', '2']) == 0
    text = capsys.readouterr().out
    # Tiles give 20 pixels, every 20: three rows of two.
    assert '41x30 in 6 tiles' in text
    network, tiled, ratio = map(float, re.search(
        r'network +([\d.]+) s\ntiled +([\d.]+) s, ([\d.]+) times',
        text).groups())
    assert ratio > 0.5


def test_a_larger_tile_makes_fewer(tool, config, capsys):
    tool.main([config, '--size', '41', '30', '--tile', '60', '60',
               '--repeats', '1'])
    assert 'in 1 tiles' in capsys.readouterr().out


@pytest.mark.parametrize('bar, code', [('1e-3', 1), ('1e3', 0)])
def test_the_bar_decides_the_exit(tool, config, bar, code, capsys):
    assert tool.main([config, '--size', '21', '21', '--repeats', '1',
                      '--bar', bar]) == code
    assert ('over the bar' in capsys.readouterr().out) == bool(code)


def test_a_network_that_does_not_tile_is_refused(tool, tmp_path, capsys):
    path = tmp_path / 'whole.py'
    path.write_text(WHOLE)
    assert tool.main([str(path)]) == 2
    assert 'must be a segmentor that tiles' in capsys.readouterr().err


def test_a_wrong_number_is_refused(tool, config, capsys):
    with pytest.raises(SystemExit):
        tool.main([config, '--repeats', '0'])
    assert '--repeats must be at least 1, got 0' in capsys.readouterr().err
