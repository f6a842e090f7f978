"""tools/benchmark.py measures what it says, and refuses what it cannot."""
import importlib.util

import pytest
import torch
from by_path import load_tool

from mmdense.analysis.benchmarks import networks as network_benchmark
from mmdense.networks import load_config

SMALL = """
default_scope = 'mmseg'
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, num_stages=1,
        strides=(1, ), dilations=(1, ), out_indices=(0, ),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels=4, channels=4, in_index=0,
        num_convs=0, concat_input=False, num_classes=3, norm_cfg=norm_cfg),
    test_cfg=dict(mode='whole'))
crop_size = (32, 48)
"""


@pytest.fixture(scope='module')
def tool():
    return load_tool('benchmark')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    pytest.importorskip('mmseg')
    path = tmp_path_factory.mktemp('configs') / 'small.py'
    path.write_text(SMALL)
    return str(path)


def rows(text):
    return {
        line.split()[0]: line.split()[1:]
        for line in text.splitlines()
        if line.split()[:1] and line.split()[0] in network_benchmark.MODES
    }


def test_latency_throughput_and_cost_stand_in_a_row(tool, config, capsys,
                                                    monkeypatch):
    # A quarter of a second a call, whatever the machine does.
    monkeypatch.setattr(tool, 'measure', lambda *_, **__: (.25, .2, .3, .25))
    assert tool.main([config, '--batch', '2', '--no-memory']) == 0
    out = capsys.readouterr().out
    assert '2 x 32x48 on cpu' in out
    latency, low, _, high, throughput, memory, _ = rows(out)['eager']
    assert (latency, throughput, memory) == ('250.0', '8.0', '-')
    assert float(low) == 237.5 and float(high) == 262.5
    network = network_benchmark.networks.build_model(load_config(config))
    parameters = sum(p.numel() for p in network.parameters())
    assert f'{parameters / 1e6:.3f} M parameters' in out


def test_a_larger_image_takes_longer(tool, config, capsys):
    given = [config, '--repeats', '3', '--threads', '1', '--clock', 'cpu',
             '--no-memory', '--shape']
    times = []
    for size in ('64', '512'):
        assert tool.main([*given, size, size]) == 0
        times.append(float(rows(capsys.readouterr().out)['eager'][0]))
    assert times[1] > 5 * times[0]


def test_each_mode_runs_its_own_way(config, monkeypatch):
    """Half precision inside autocast; torch.compile is handed the network."""
    compiled = []
    monkeypatch.setattr(torch, 'compile',
                        lambda model: compiled.append(model) or model)
    outputs = {
        mode: network_benchmark.inference(
            load_config(config), (32, 48), mode=mode)()
        for mode in ('eager', 'autocast', 'compile')
    }
    assert outputs['eager'].dtype == torch.float32
    assert outputs['autocast'].dtype == torch.bfloat16
    assert len(compiled) == 1
    assert not torch.is_autocast_enabled('cpu')


@pytest.mark.slow
@pytest.mark.parametrize('mode', network_benchmark.MODES)
def test_every_mode_runs_and_its_memory_is_measured(tool, config, capsys,
                                                    mode):
    if mode == 'openvino':
        pytest.importorskip('openvino')
    argv = [config, '--shape', '128', '128', '--repeats', '2', '--mode', mode]
    assert tool.main(argv) == 0
    memory = rows(capsys.readouterr().out)[mode][5]
    if mode == 'openvino':  # which holds it all the time
        assert memory == '-'
        return
    # At least the input of the last layer.
    assert float(memory) > 128 * 128 * 4 * 4 / 4 / 1e6


def test_memory_is_measured_at_a_size_the_network_takes(tool, capsys):
    """Unpadded convolutions leave nothing of a small image."""
    pytest.importorskip('mmseg')
    argv = ['unet-narrow_quick_synthetic-284x284', '--shape', '284', '284',
            '--repeats', '1', '--cfg-options',
            'model.backbone.base_channels=4',
            'model.decode_head.in_channels=4']
    assert tool.main(argv) == 0
    captured = capsys.readouterr().out
    # At least a map of four channels.
    assert float(rows(captured)['eager'][5]) > 4 * 280**2 * 4 / 1e6


def test_a_mode_that_fails_leaves_the_others_their_rows(
        tool, config, capsys, monkeypatch):
    inference = network_benchmark.inference

    def fails(*args):
        if args[-1] == 'autocast':
            raise NotImplementedError("'nms' is not\nimplemented for 'Half'")
        return inference(*args)

    monkeypatch.setattr(network_benchmark, 'inference', fails)
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name, *_: None if name == 'onnxruntime' else True)
    argv = [config, '--repeats', '1', '--no-memory', '--mode', 'autocast',
            'onnx', 'eager']
    assert tool.main(argv) == 1
    captured = capsys.readouterr()
    assert "autocast  failed: NotImplementedError: 'nms' is not\n" in \
        captured.out
    found = rows(captured.out)
    assert ' '.join(found['onnx']).startswith(
        'failed: ValueError: an ONNX export needs onnxruntime, not installed')
    assert float(found['eager'][0]) > 0
    assert captured.err == ''


@pytest.mark.parametrize('name, message', [
    ('gone.py', 'ValueError: gone.py: no such config'),
    (object(), 'SyntaxError: '),  # whose words depend on the Python
])
def test_the_process_that_measures_memory_says_why_it_failed_in_one_line(
        name, message):
    with pytest.raises(RuntimeError, match=message) as found:
        network_benchmark.inference_bytes_in_fresh_process(
            name, (32, 32), 1, 'cpu', 1)
    assert '\n' not in str(found.value)


def test_options_reach_both_the_time_and_the_memory(
        tool, config, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(network_benchmark, 'inference_bytes_in_fresh_process',
                        lambda *args: asked.append(args[-1]) or 0)
    argv = [config, '--repeats', '1', '--cfg-options',
            'model.decode_head.num_classes=5']
    assert tool.main(argv) == 0
    assert asked == [{'model.decode_head.num_classes': 5}]
    network = network_benchmark.networks.build_model(
        load_config(config, asked[0]))
    parameters = sum(p.numel() for p in network.parameters())
    assert f'{parameters / 1e6:.3f} M parameters' in capsys.readouterr().out


@pytest.mark.parametrize('options, message', [
    (['--batch', '0'], '--batch must be at least 1, got 0'),
    (['--shape', '0', '5'], '--shape must be two positive sizes'),
    (['--mode', 'fast'], "invalid choice: 'fast'"),
])
def test_refuses_what_cannot_be_measured(tool, capsys, options, message):
    with pytest.raises(SystemExit):
        tool.main(['a.py', *options])
    assert message in capsys.readouterr().err


def test_a_missing_config_is_one_line_and_status_two(tool, capsys):
    assert tool.main(['nothing.py']) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith('error: nothing.py: no such config;')
    assert captured.err.count('\n') == 1
    assert captured.out == ''


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU is there')
def test_says_that_there_is_no_gpu(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['a.py', '--device', 'cuda'])
    assert 'sees no GPU here' in capsys.readouterr().err
