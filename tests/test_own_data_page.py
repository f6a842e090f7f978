"""A new user's way through the page on own data: its blocks, run in order.

The network is narrower, the training shorter; all else is the page's.
"""
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from by_path import load_tool
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmseg')

from mmdense.networks import load_config  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'configs/mmseg/unet/OWN_DATA.md'
DRAW, CONFIG, OBJECTS = re.findall(
    r'^```python\n(.*?)^```', PAGE.read_text(), re.M | re.S)
NARROW = {
    'model.backbone.base_channels': 2,
    'model.decode_head.in_channels': 2
}


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp('drawn'))
        exec(DRAW.replace("'train', 12", "'train', 5").replace(
            "'val', 3", "'val', 1"), {})
        yield Path.cwd()


@pytest.fixture
def config(drawn, tmp_path, monkeypatch):
    """The page's file, and in ``data/own`` the set it draws."""
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    Path('OWN.py').write_text(
        CONFIG.replace("'./configs/", f"'{ROOT}/configs/"))
    return 'OWN.py'


def test_the_config_is_short_enough():
    assert len(CONFIG.splitlines()) <= 30


def test_from_nothing_to_the_classes_of_a_large_picture(
        config, capsys):
    ids = cv2.imread('data/own/train/instance/0.png', cv2.IMREAD_UNCHANGED)
    assert ids.dtype == np.uint16 and ids.max() > 9
    assert load_tool('check_data').main([config]) == 0
    assert capsys.readouterr().out == '0 faults in 2 data sets\n'

    recipe = load_config(config, NARROW)
    recipe.train_cfg.update(max_iters=2, val_interval=2)
    recipe.default_hooks.checkpoint.interval = 2
    for loader in (recipe.train_dataloader, recipe.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    recipe.work_dir = 'work_dirs/OWN'
    recipe.experiment_name = 'own-data-page'
    with DefaultScope.overwrite_default_scope('mmseg'):
        runner = Runner.from_cfg(recipe)
        runner.train()
    scores = runner.message_hub.log_scalars
    assert {'val/SEG', 'val/mIoU'} <= set(scores)

    picture = cv2.imread('data/own/large.png')
    tile = recipe.model.test_cfg.tile
    assert picture.shape[0] > tile[0] and picture.shape[1] > tile[1]
    assert load_tool('predict').main([
        config, 'work_dirs/OWN/iter_2.pth', 'data/own/large.png', '--out',
        'work_dirs/drawn', '--cfg-options',
        *(f'{key}={value}' for key, value in NARROW.items())
    ]) == 0
    drawn = cv2.imread('work_dirs/drawn/large.png')
    assert drawn.shape == picture.shape
    found = json.loads(Path('work_dirs/drawn/predictions.json').read_text())
    (image, ) = found['images']
    assert sum(one['pixels'] for one in image['instances']
               ) == picture.shape[0] * picture.shape[1]
    assert {one['name'] for one in image['instances']} <= {
        'background', 'red', 'green', 'blue'}


def test_objects_are_counted_as_the_page_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path('work_dirs/classes').mkdir(parents=True)
    classes = np.zeros((9, 9), np.uint8)
    classes[0:2], classes[3:5], classes[6, :2], classes[6, 4:] = 1, 1, 2, 2
    cv2.imwrite('work_dirs/classes/0.png', classes)
    exec(OBJECTS, {})
    assert capsys.readouterr().out.splitlines() == [
        'class 1: 2 objects', 'class 2: 2 objects', 'class 3: 0 objects']


@pytest.mark.parametrize('fault, message', [
    ('missing', "data/own/train/instance/4.png'"),
    ('swapped', 'pixels must be of [0, 1, 2, 3]'),
    ('jpg', 'holds no sample'),
    ('classes', 'num_classes of model.decode_head must be 4'),
])
def test_what_can_go_wrong_is_named(config, capsys, fault, message):
    label, ids = (Path('data/own/train', name, '4.png')
                  for name in ('label', 'instance'))
    options = dict(
        jpg=['--cfg-options', 'train_dataloader.dataset.img_suffix=.jpg'],
        classes=['--cfg-options', 'model.decode_head.num_classes=3'])
    if fault == 'missing':
        ids.unlink()
    elif fault == 'swapped':
        label.write_bytes(ids.read_bytes())
    assert load_tool('check_data').main([config, *options.get(fault, ())]) == 1
    assert message in capsys.readouterr().out
