"""The benchmark of two networks runs, judges, and refuses wrong input."""
import re

import pytest
import torch
from by_path import load_tool
from torch.utils.flop_counter import FlopCounterMode

from mmdense.analysis.benchmarks import networks as network_benchmark
from mmdense.analysis.benchmarks.measuring import Ratio
from mmdense.networks import load_config

SMALL = """
default_scope = 'mmseg'
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    pretrained='nowhere.pth',
    backbone=dict(
        type='ResNet', depth=18, base_channels={base}, num_stages=1,
        strides=(1, ), dilations=(1, ), out_indices=(0, ),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels={base}, channels={base}, in_index=0,
        num_convs=0, concat_input=False, num_classes=3, norm_cfg=norm_cfg),
    test_cfg=dict(mode='whole'))
crop_size = (32, 48)
"""


@pytest.fixture(scope='module')
def tool():
    return load_tool('benchmark_networks')


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    pytest.importorskip('mmseg')
    folder = tmp_path_factory.mktemp('configs')
    paths = []
    for base in (4, 64):
        path = folder / f'width{base}.py'
        path.write_text(SMALL.format(base=base))
        paths.append(str(path))
    return paths


def by_operations(a, b, **_):
    """Stands for a clock: a call takes as long as its multiplications say."""
    seconds = []
    for call in (a, b):
        with FlopCounterMode(display=False) as counted:
            call()
        seconds.append([1e-9 * counted.get_total_flops()])
    return Ratio(*seconds)


def test_the_narrow_network_is_the_faster_one(tool, configs, capsys,
                                              monkeypatch):
    monkeypatch.setattr(tool, 'compare', by_operations)
    narrow, wide = configs
    fast = ['--no-memory', '--repeats', '5', '--threads', '1']
    size = ['--shape', '256', '320']
    assert tool.main([narrow, wide, *fast, *size, '--bar', '1.2']) == 0
    assert tool.main([wide, narrow, *fast, *size, '--bar', '1.2']) == 1
    printed = capsys.readouterr().out
    assert '1 x 256x320 on cpu' in printed
    assert 'under the bar of 1.2' in printed
    first, second = map(
        float, re.findall(r'A has ([\d.]+) times the speed', printed))
    assert first > 1.2 > 1 / 1.2 > second


def test_the_size_is_the_configs_own_and_the_batch_is_run(
        tool, configs, capsys):
    narrow = configs[0]
    tool.main([
        narrow, narrow, '--no-memory', '--repeats', '1', '--threads', '1',
        '--batch', '2'
    ])
    assert '2 x 32x48 on cpu' in capsys.readouterr().out
    call = network_benchmark.inference(load_config(narrow), (32, 48), 2)
    logits = call()
    assert logits.shape == (2, 3, 8, 12) and not logits.requires_grad


def test_one_config_builds_as_often_as_asked(configs):
    config = load_config(configs[0])
    before = config.to_dict()
    for _ in range(2):
        network_benchmark.inference(config, (32, 48))
    assert config.to_dict() == before


@pytest.mark.slow
def test_memory_is_the_networks_own(configs):
    small, large = (
        network_benchmark.inference_bytes_in_fresh_process(
            configs[1], shape, 1, 'cpu', 1)
        for shape in ((256, 256), (512, 512)))
    assert 2 < large / small < 8


@pytest.mark.parametrize('options, message', [
    (['--repeats', '0'], '--repeats must be at least 1, got 0'),
    (['--shape', '0', '5'], '--shape must be two positive sizes'),
])
def test_refuses_what_cannot_be_measured(tool, capsys, options, message):
    with pytest.raises(SystemExit):
        tool.main(['a.py', 'b.py', *options])
    assert message in capsys.readouterr().err


def test_a_missing_config_costs_one_line(tool, capsys):
    assert tool.main(['nothing.py', 'nothing.py']) == 2
    assert 'error: nothing.py: no such' in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU is there')
def test_says_that_there_is_no_gpu(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['a.py', 'b.py', '--device', 'cuda'])
    assert 'sees no GPU here' in capsys.readouterr().err
