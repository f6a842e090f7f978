"""A config is read by path or by name, with the changes of a command line."""
import argparse
from pathlib import Path

import pytest
import torch
from by_path import load_tool

from mmdense import config_path
from mmdense.networks import find_config, load_config
from mmdense.networks.options import add_cfg_options

NAME = 'fcn-8s_vgg16_quick_synthetic-128x128'


def options(*words):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    given = ['--cfg-options', *words] if words else []
    return parser.parse_args(given).cfg_options


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("model = dict(head=dict(type='A', parts=[dict(a=1)]))")
    return path


@pytest.mark.parametrize('name', [NAME, f'{NAME}.py', f'configs/x/{NAME}.py'])
def test_a_config_of_ours_is_read_by_its_name(name, tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    monkeypatch.chdir(tmp_path)
    assert Path(load_config(name).filename) == config_path(NAME)


def test_a_file_is_read_before_a_name(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.rename(f'{NAME}.py')
    assert load_config(f'{NAME}.py').model.head.type == 'A'
    assert find_config(f'{NAME}.py') == Path(f'{NAME}.py')


def test_a_config_of_a_host_is_read_by_its_name():
    pytest.importorskip('mmseg')
    config = load_config(
        'mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py')
    assert config.model.backbone.depth == 18


@pytest.mark.parametrize('name, message', [
    (NAME.replace('quick', 'quik'), f'the nearest are {NAME}'),
    # A whole path is that file or nothing.
    (f'/gone/{NAME}.py', f'^/gone/{NAME}.py: no such config$'),
    ('mmseg::fcn/nothing.py', '^mmseg::fcn/nothing.py: no such config'),
    ('mmnothing::a/b.py', 'no such config: .*mmnothing is not installed'),
    ('a::b::c', 'no such config'),
    ('', 'no such config'),
    ('epoch_1.pth', 'must be a config .*got a checkpoint'),
])
def test_a_name_without_a_config_is_refused(name, message, monkeypatch):
    def installed(*_):
        raise AssertionError('a package would be installed')

    monkeypatch.setattr('mmengine.hub.hub.install_package', installed)
    with pytest.raises(ValueError, match=message):
        load_config(name)


def test_options_change_the_config(config):
    read = options('model.head.type=B', 'model.head.parts.0.a=5',
                   'model.head.pair=(1,2)')
    head = load_config(config, read).model.head
    assert (head.type, head.parts, head.pair) == (
        'B', [dict(a=5)], (1, 2))
    assert options() == {}
    assert load_config(config, options()).model.head.type == 'A'


@pytest.mark.parametrize('option', [
    'model.head.type.deep=1', 'model.head.parts.7=1'])
def test_an_option_that_does_not_fit_the_config_is_named(config, option):
    with pytest.raises(ValueError, match=option.partition('=')[0]):
        load_config(config, options(option))


@pytest.mark.parametrize('word', ['config.py', 'a=[1,(2]'])
def test_what_is_no_option_ends_the_program(word, capsys):
    with pytest.raises(SystemExit):
        options('b=1', word)
    assert capsys.readouterr().err.endswith(
        f'--cfg-options must be KEY=VALUE, got {word!r}\n')


@pytest.mark.parametrize('tool, more, option, message', [
    ('benchmark', [], 'model.decode_head.odd=1', "argument 'odd'"),
    ('complexity', [], 'model.decode_head.odd=1', "argument 'odd'"),
    ('export', ['--out', 'x.pt2', '--format', 'aoti'],
     'model.decode_head.odd=1', "argument 'odd'"),
    ('feature_maps', ['w.pth', 'x.png', '--list'],
     'model.decode_head.odd=1', "argument 'odd'"),
    ('untrained_checkpoint', ['w.pth'],
     'model.decode_head.odd=1', "argument 'odd'"),
    ('receptive_field', [], 'model.decode_head.odd=1', "argument 'odd'"),
    ('convert_classifier', ['w.pth', 'x.pth'], 'model.backbone.odd=1',
     "argument 'odd'"),
    ('check_data', [], '{0}=None {1}=None {2}=None', 'got none'),
])
def test_the_tools_take_options_and_a_name(tool, more, option, message,
                                           tmp_path, monkeypatch, capsys):
    pytest.importorskip('mmseg')
    module = load_tool(tool)
    monkeypatch.chdir(tmp_path)
    loaders = [f'{k}_dataloader' for k in ('train', 'val', 'test')]
    assert module.main([NAME, *more, '--cfg-options',
                        *option.format(*loaders).split()]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1
    assert captured.out == ''


@pytest.mark.parametrize('tool, configs', [
    ('benchmark_steps', 1), ('benchmark_networks', 2),
    ('benchmark_overlap_tile', 1)])
def test_the_benchmarks_take_options(tool, configs, monkeypatch, capsys):
    pytest.importorskip('mmseg')
    module = load_tool(tool)
    # For the rest of the process.
    monkeypatch.setattr('logging.disable', lambda *_: None)
    assert module.main([NAME] * configs + [
        '--threads', str(torch.get_num_threads()),
        '--cfg-options', 'model.decode_head.odd=1']) == 2
    assert "argument 'odd'" in capsys.readouterr().err
