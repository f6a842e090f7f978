"""tools/feature_maps.py draws what a module puts out."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from by_path import load_tool
from torch import nn

from mmdense.analysis import feature_maps
from mmdense.networks import build_model, load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / 'configs' / 'mmpose' / 'flattenet' /
          'td-hm_flattenet-res18_quick_synthetic-128x96.py')


@pytest.fixture(scope='module')
def tool():
    return load_tool('feature_maps')


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """Config, checkpoint, image."""
    pytest.importorskip('mmpose')
    folder = tmp_path_factory.mktemp('maps')
    model = build_model(load_config(CONFIG))
    torch.save(dict(state_dict=model.state_dict()), folder / 'w.pth')
    image = np.full((128, 96, 3), 200, np.uint8)
    cv2.imwrite(str(folder / 'image.png'), image)
    return [str(CONFIG), str(folder / 'w.pth'), str(folder / 'image.png')]


class Pair(nn.Module):
    """Puts out its input, and twice its input with a border."""

    def forward(self, x):
        return dict(same=x, more=(2 * nn.functional.pad(x, (1, 1, 1, 1)), ))


def test_maps_are_those_of_the_module():
    model = nn.Sequential(nn.ReLU(), Pair(), nn.Identity())
    x = torch.randn(1, 3, 4, 5)
    same, more = feature_maps.maps_of_module(model, '1', lambda: model(x))
    np.testing.assert_array_equal(same, x[0].relu().numpy())
    assert more.shape == (3, 6, 7)
    np.testing.assert_array_equal(more[:, 1:-1, 1:-1], 2 * same)
    mean, = feature_maps.reduced(same, 'mean').values()
    np.testing.assert_allclose(mean, sum(same) / 3, rtol=1e-6)
    largest, = feature_maps.reduced(same, 'max').values()
    assert (largest >= same).all() and (largest == same).any()
    chosen = feature_maps.reduced(same, [2, 0])
    assert list(chosen) == ['channel 2', 'channel 0']
    np.testing.assert_array_equal(chosen['channel 2'], same[2])
    with pytest.raises(ValueError, match=r'must be 0 to 2, got 3'):
        feature_maps.reduced(same, [0, 3])


def test_a_head_whose_forward_is_called_past_its_hooks_is_seen():
    model = nn.Sequential(nn.ReLU())
    x = torch.randn(1, 3, 4, 5)
    maps, = feature_maps.maps_of_module(
        model, '0', lambda: model[0].forward(x) + 1)
    np.testing.assert_array_equal(maps, x[0].relu().numpy())
    assert 'forward' not in vars(model[0])


def test_the_head_of_a_host_is_drawn(tool, given, tmp_path):
    out = tmp_path / 'maps.png'
    assert tool.main([*given, '--module', 'head', '--out', str(out)]) == 0
    assert out.is_file()


def test_the_image_is_what_the_network_gets():
    class Network(nn.Module):

        def forward(self, inputs, mode):
            return inputs

    model, x = Network(), torch.zeros(1, 3, 2, 4)
    x[0, 0, 0, 1], x[0, 2, 1, 3] = 2., -2.
    for call in (lambda: model(x, 'tensor'),
                 lambda: model(inputs=x, mode='predict')):
        image = feature_maps.network_image(model, call)
        assert image.shape == (2, 4, 3) and image.dtype == np.uint8
        assert image[0, 1].tolist() == [255, 128, 128]
        assert image[1, 3].tolist() == [128, 128, 0]


def test_a_module_without_maps_or_at_rest_is_named():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    model.add_module('idle', nn.ReLU())
    x = torch.ones(1, 1, 2, 2)

    def run():
        return model[1](model[0](x))

    with pytest.raises(ValueError, match=r'1 \(Linear\) puts out no map .* '
                       r'but \[\(1, 2\)\]'):
        feature_maps.maps_of_module(model, '1', run)
    with pytest.raises(ValueError, match=r'idle \(ReLU\) does not run'):
        feature_maps.maps_of_module(model, 'idle', run)


def test_a_peak_is_drawn_where_it_is(tmp_path):
    """Over the image, a map's corner lies in the image's corner."""
    image = np.full((80, 60, 3), 128, np.uint8)
    values = np.zeros((8, 6), np.float32)
    values[-1, 0] = 1
    feature_maps.plot_maps(image, dict(a=values), 't', tmp_path / 'a.png')
    picture = cv2.imread(str(tmp_path / 'a.png')).astype(int)
    half = picture.shape[1] // 2
    # On the right half: the warm end of the colours, and the cold one.
    warmth = (picture[..., 2] - picture[..., 0])[:, half:]
    middles = []
    for mask in (warmth > 20, warmth < -60):
        rows, columns = np.nonzero(mask)
        assert len(rows) > 50
        middles.append((rows.mean(), columns.mean()))
    (row, column), (everywhere_row, everywhere_column) = middles
    assert row > everywhere_row + 100 and column < everywhere_column - 60


def test_pictures_are_written_by_the_dotted_name(tool, given, tmp_path,
                                                 capsys):
    out = tmp_path / 'new' / 'neck.png'
    argv = [*given, '--module', 'neck', '--channels', '0', '3', '5', '7', '9']
    assert tool.main([*argv, '--out', str(out)]) == 0
    assert capsys.readouterr().out == f'wrote {out}\n'
    picture = cv2.imread(str(out))
    assert picture.shape[1] > 1000 and picture.std() > 10


def test_the_names_are_listed(tool, given, capsys):
    assert tool.main([*given, '--list']) == 0
    lines = capsys.readouterr().out.splitlines()
    names = dict(line.split() for line in lines)
    assert names['neck'] == 'FlatteningNeck'
    assert names['backbone.layer1.0.conv1'] == 'Conv2d'


@pytest.mark.parametrize('more, message', [
    (['--module', 'backbone.layer1.0.conv9'],
     "no module 'backbone.layer1.0.conv9'; the nearest are "
     'backbone.layer1.0.conv'),
    (['--module', 'neck', '--channels', '99'],
     '--channels must be 0 to 15, got 99'),
])
def test_what_is_not_there_is_named(tool, given, tmp_path, capsys, more,
                                    message):
    argv = [*given, '--out', str(tmp_path / 'x.png'), *more]
    assert tool.main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1


def test_a_foreign_host_and_its_errors_are_named(
        tool, given, tmp_path, capsys, monkeypatch):
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = {given[0]!r}\ndefault_scope = 'mmengine'\n")
    argv = [*given[1:], '--module', 'neck', '--out', str(tmp_path / 'x.png')]
    assert tool.main([str(config), *argv]) == 2
    captured = capsys.readouterr()
    assert "one of mmpose, mmseg, mmdet, got 'mmengine'" in captured.err
    assert captured.err.count('\n') == 1
    from mmdense.mmpose import prediction

    def stops(*_):
        raise RuntimeError('out of\nmemory')

    monkeypatch.setattr(prediction, 'predict', stops)
    assert tool.main([given[0], *argv]) == 2
    captured = capsys.readouterr()
    assert 'image.png cannot be processed: RuntimeError: out of memory' in \
        captured.err and captured.err.count('\n') == 1


def test_an_image_that_is_none_is_named(tool, given, tmp_path, capsys):
    image = tmp_path / 'image.jpg'
    image.write_text('none')
    assert tool.main([*given[:2], str(image), '--module', 'neck']) == 2
    assert 'image.jpg cannot be read as an image' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main([*given, '--module', 'neck', '--channels', 'all'])
    assert '--channels must be mean, max or numbers, got all' in \
        capsys.readouterr().err
