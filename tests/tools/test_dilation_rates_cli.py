"""tools/dilation_rates.py on a small pose network and synthetic people."""
import json
from pathlib import Path

import pytest
import torch
from by_path import load_tool

pytest.importorskip('mmpose')
pytest.importorskip('matplotlib')

from mmdense.datasets import make_pose_set  # noqa: E402
from mmdense.networks import build_model, load_config  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (
    ROOT / 'configs' / 'mmpose' / 'adaptive_dilated_conv' /
    'td-hm_adc-res18_quick_synthetic-128x96.py')


@pytest.fixture(scope='module')
def tool():
    return load_tool('dilation_rates')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rates')
    make_pose_set(
        folder / 'people', 1, 6, difficulty='easy', size=(128, 96), workers=1)
    model = build_model(load_config(CONFIG))
    # The first layer's rates: 1.5 in half of the channels, 1 in the other.
    offset = model.backbone.layer1[0].conv2.rate_regression.fc2.offset
    offset.data[:8] = 0.5
    torch.save(dict(state_dict=model.state_dict()), folder / 'trained.pth')
    return folder


def argv(files, config=CONFIG, checkpoint='trained.pth', *more):
    people = files / 'people'
    return [
        str(config), str(files / checkpoint), '--out', str(files / 'out'),
        *more, '--cfg-options',
        f'test_dataloader.dataset.data_root={people}',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False'
    ]


def test_table_pictures_and_numbers_are_written(tool, files, capsys):
    assert tool.main(argv(files)) == 0
    out = capsys.readouterr().out
    assert out.count('| backbone.layer') == 8
    found = json.loads((files / 'out/rates.json').read_text())
    truth = json.loads(
        (files / 'people/annotations/person_keypoints_val.json').read_text())
    assert sum(found['people']) == len(truth['annotations'])
    layer = found['layers']['backbone.layer1.0.conv2']
    k = next(i for i, n in enumerate(found['people']) if n)
    assert layer['channel_means'][k] == [1.5] * 8 + [1.] * 8
    assert layer['mean'][k] == 1.25
    areas = [a['bbox'][2] * a['bbox'][3] for a in truth['annotations']]
    assert found['area_range'] == pytest.approx([min(areas), max(areas)])
    for name in ('channels.png', 'layers.png'):
        assert (files / 'out' / name).stat().st_size > 5000


def test_more_layers_than_panels_are_thinned_evenly(tool):
    names = [f'layer{k}' for k in range(108)]
    shown = tool.chosen(names, '.*')
    assert len(shown) == tool.PANELS and len(set(shown)) == tool.PANELS
    assert shown[0] == 'layer0' and int(shown[-1][5:]) > 100
    assert tool.chosen(names, 'layer[23]') == ['layer2', 'layer3']


PLAIN = '''
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
'''  # noqa: E501
SEGMENTATION = '''
_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-769x769.py'
'''


@pytest.mark.parametrize('text, message', [
    (PLAIN, 'TopdownPoseEstimator has no adaptive dilated convolution'),
    (SEGMENTATION, "config must be top-down, of mmpose, since rates go by the "
     "person, got default_scope 'mmseg'"),
])
def test_a_config_that_will_not_do_is_refused(tool, files, capsys, text,
                                              message):
    file = files / 'other.py'
    file.write_text(text)
    assert tool.main(argv(files, file)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_a_checkpoint_of_the_plain_network_is_refused(tool, files, capsys):
    state = torch.load(files / 'trained.pth')['state_dict']
    torch.save({k: v for k, v in state.items() if 'rate_reg' not in k},
               files / 'plain.pth')
    assert tool.main(argv(files, CONFIG, 'plain.pth')) == 2
    assert "plain.pth does not fit this config's" in capsys.readouterr().err
    assert tool.main(argv(files, CONFIG, 'nowhere.pth')) == 2
    assert 'nowhere.pth' in capsys.readouterr().err


def test_a_pattern_that_matches_no_layer_is_refused(tool, files, capsys):
    assert tool.main(
        argv(files, CONFIG, 'trained.pth', '--layers', 'layer1')) == 2
    assert "--layers 'layer1' matches none of" in capsys.readouterr().err
