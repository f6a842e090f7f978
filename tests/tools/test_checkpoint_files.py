"""Every tool that reads a checkpoint names a file that is none."""
import importlib.util
import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
POSE = ROOT / 'configs' / 'mmpose'
FLATTENET = POSE / 'flattenet/td-hm_flattenet-res18_quick_synthetic-128x96.py'
ADC = (POSE / 'adaptive_dilated_conv' /
       'td-hm_adc-res18_quick_synthetic-128x96.py')
SHORTCUT = (POSE / 'spatial_shortcut' /
            'td-hm_ssn-narrow-res50_quick_synthetic-128x96.py')
CLASSIFIER = '''
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(type='VGG16', base_channels=1, fc_channels=4)))
'''
TOOLS = dict(
    predict='{flattenet} {file} {image} --out {out}',
    publish_model='{file} {out}',
    export='{flattenet} {file} --out {out} --format aoti',
    feature_maps='{flattenet} {file} {image} --module neck --out {out}',
    dilation_rates='{adc} {file} --out {out}',
    feature_shift='{shortcut} {file} --out {out}',
    predictor_accuracy='{shortcut} {file} --out {out}',
    convert_classifier='{classifier} {file} {out}',
    test='{flattenet} {file} --work-dir {out}')


class RunsACommand:

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark), )


class ReachesAnAttribute:
    """Not by name, but through the one function of that kind allowed."""

    def __init__(self, mark):
        pass

    def __reduce__(self):
        return getattr, (random.Random, 'seed')


def crafted(payload):
    return lambda path: torch.save(
        dict(meta=dict(), state_dict=payload(path.with_name('ran'))), path)


def good(path):
    torch.save(dict(state_dict=dict(weight=torch.ones(100, 100))), path)


def cut(path):
    good(path)
    path.write_bytes(path.read_bytes()[:-100])


def half_written(path):
    """As a file system may leave it: all its bytes, not all of them there."""
    good(path)
    data = path.read_bytes()
    path.write_bytes(data[:2000] + bytes(len(data) - 2000))


def zeroed(path):
    """The same with a whole end: some weights are zeros, if it loads."""
    good(path)
    data = path.read_bytes()
    path.write_bytes(data[:20000] + bytes(4096) + data[24096:])


# What is written, and what the error says of it.
FILES = dict(
    command=(crafted(RunsACommand), 'refused, it asks for posix.mkdir'),
    attribute=(crafted(ReachesAnAttribute),
               'refused, it asks for random.Random'),
    cut=(cut, 'is not whole'),
    half_written=(half_written, 'is not whole'),
    zeroed=(zeroed, 'is not whole'),
    empty=(Path.touch, r'is not whole (0 bytes'),
    folder=(Path.mkdir, 'must be a checkpoint file, got a folder'),
    missing=(lambda path: None, 'no such checkpoint'),
    text=(lambda path: path.write_text('weights: none'),
          'cannot be read as a checkpoint'),
    tensor=(lambda path: torch.save(torch.ones(2), path),
            'must hold a dict, got Tensor'))


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    pytest.importorskip('mmpose')
    pytest.importorskip('mmseg')
    folder = tmp_path_factory.mktemp('given')
    cv2.imwrite(str(folder / 'image.png'), np.zeros((8, 8, 3), np.uint8))
    (folder / 'classifier.py').write_text(CLASSIFIER)
    return dict(
        flattenet=FLATTENET, adc=ADC, shortcut=SHORTCUT,
        classifier=folder / 'classifier.py', image=folder / 'image.png')


def main_of(tool):
    spec = importlib.util.spec_from_file_location(
        f'{tool}_tool', ROOT / 'tools' / f'{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize('tool', TOOLS)
def test_a_file_that_is_no_checkpoint_is_one_line_and_status_two(
        tool, given, tmp_path, capsys):
    main, wrong = main_of(tool), []
    for kind, (write, message) in FILES.items():
        path = tmp_path / kind / 'epoch_1.pth'
        path.parent.mkdir()
        write(path)
        argv = TOOLS[tool].format(
            file=path, out=tmp_path / 'out' / 'new.pth', **given).split()
        try:
            status = main(argv)
        except SystemExit as error:  # argparse's way out
            status = error.code
        captured = capsys.readouterr()
        line = captured.err.splitlines()[-1] if captured.err else ''
        if status != 2 or message not in line or str(path) not in line or \
                captured.out or 'Traceback' in captured.err:
            wrong.append(f'{kind}: status {status}, {captured.err[-500:]}')
        assert not list(tmp_path.rglob('ran'))
    assert not wrong, '\n'.join(wrong)
    assert not list(tmp_path.glob('out/*'))


def test_no_tool_that_reads_checkpoints_is_forgotten():
    readers = ('load_network', 'load_weights', 'read_checkpoint',
               'measure_config', 'publish(', 'load_from', "'test'",
               'predicting')
    found = {
        file.stem for file in (ROOT / 'tools').glob('*.py')
        if any(word in file.read_text() for word in readers)}
    assert found == set(TOOLS)
