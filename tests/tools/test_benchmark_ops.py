"""The benchmark of the operators runs, and refuses what it cannot measure."""
import json
import os
import sys

import pytest
from by_path import load_tool


@pytest.fixture(scope='module')
def tool():
    return load_tool('benchmark_ops')


def test_every_cheap_row_runs_and_is_written(tool, tmp_path, capsys):
    pytest.importorskip('mmcv.ops')
    pytest.importorskip('torchvision.ops')
    out = tmp_path / 'new' / 'folder'
    only = ['forward', 'backward', 'torchvision', 'mmcv', 'shift',
            'grid_sample', 'memory']
    assert tool.main([
        '--only', *only, '--sizes', '4x6x5', '3x4x7', '--batch', '2',
        '--repeats', '1', '--threads', '1', '--out', str(out)
    ]) == 0
    rows = json.loads((out / 'benchmark_ops.json').read_text())['rows']
    assert [row['size'] for row in rows] == ['4x6x5', '3x4x7'] * 7
    assert len({row['figure'] for row in rows}) == 7
    for row in rows:
        assert row['ratio'] == pytest.approx(row['a'] / row['b'])
        assert min(row['peaks']) > 0
    assert (out / 'benchmark_ops.png').stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert 'ADC / conv2d, forward\n' in printed
    assert '14 rows' in printed
    assert 'torchvision deform_conv2d / ADC' in printed


def test_every_variant_has_both_rows_and_its_bars(tool, tmp_path):
    only = ['batch_1', 'channels_last', 'bfloat16', 'grouped', 'depthwise']
    assert tool.main([
        '--only', *only, '--sizes', '32x4x5', '--batch', '2', '--repeats',
        '1', '--threads', '1', '--out', str(tmp_path)
    ]) == 0
    rows = json.loads((tmp_path / 'benchmark_ops.json').read_text())['rows']
    assert [(row['figure'].split(', ')[1], row['bar']) for row in rows] == [
        ('batch 1', 1.1), ('batch 1', 1.25), ('channels last', 1.1),
        ('channels last', 1.25), ('bfloat16', 1.6), ('bfloat16', 1.6),
        ('32 groups', 1.3), ('32 groups', 1.5), ('depthwise', 2.0),
        ('depthwise', 2.0)
    ]
    assert [row['dtype'] for row in rows].count('bfloat16') == 2


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(
        tool, monkeypatch, capsys):
    # None makes an import fail.
    monkeypatch.setitem(sys.modules, 'DCLS.construct.modules', None)
    assert tool.main(['--only', 'dcls', 'shift', '--sizes', '2x3x4',
                      '--repeats', '1', '--threads', '1']) == 0
    printed = capsys.readouterr()
    assert 'dcls: not measured: ' in printed.err and 'DCLS' in printed.err
    assert '1 rows' in printed.out


def test_row_that_cannot_be_measured_says_why_and_stops_no_other(
        tool, monkeypatch, capsys):

    def broken(setting):
        raise OSError('no such file')
        yield

    monkeypatch.setitem(tool.ROWS, 'memory', broken)
    assert tool.main([
        '--only', 'memory', 'shift', '--sizes', '2x3x4', '--repeats', '1'
    ]) == 0
    printed = capsys.readouterr()
    assert 'memory: not measured: no such file' in printed.err
    assert 'channel_shift / clone' in printed.out


@pytest.mark.parametrize('argv, message', [
    (['--only', 'nothing'], 'invalid choice'),
    (['--sizes', '64x64'], 'must be CxHxW'),
    (['--sizes', '0x3x3'], 'must be CxHxW'),
    (['--repeats', '0'], 'at least 1'),
    (['--threads', 'two'], 'at least 1'),
    (['--out', __file__], 'must be a folder'),
])
def test_bad_option_is_refused_with_what_was_wanted(
        tool, argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.main(argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_gpu_that_is_not_there_is_refused(tool, monkeypatch, capsys):
    monkeypatch.setattr(tool.torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit):
        tool.main(['--device', 'cuda'])
    assert 'sees no GPU' in capsys.readouterr().err


def test_cpu_time_of_a_gpu_is_refused(tool, monkeypatch, capsys):
    monkeypatch.setattr(tool.torch.cuda, 'is_available', lambda: True)
    with pytest.raises(SystemExit):
        tool.main(['--device', 'cuda', '--clock', 'cpu'])
    assert 'does not see what a GPU does' in capsys.readouterr().err


@pytest.mark.parametrize('clock, warned', [('wall', True), ('cpu', False)])
def test_busy_machine_is_pointed_out_where_it_matters(
        tool, monkeypatch, capsys, clock, warned):
    monkeypatch.setattr(os, 'getloadavg', lambda: (99.0, 0.0, 0.0))
    tool.main([
        '--only', 'shift', '--sizes', '2x3x4', '--repeats', '1', '--threads',
        '1', '--clock', clock
    ])
    assert ('beware' in capsys.readouterr().out) is warned
