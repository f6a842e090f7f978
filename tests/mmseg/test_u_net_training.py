"""The quick recipe, smaller still, through mmengine's runner."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmseg')

from mmdense.datasets import make_membrane_set  # noqa: E402

CONFIG = Path(__file__).parents[2] / \
    'configs/mmseg/unet/unet-narrow_quick_synthetic-284x284.py'


@pytest.fixture(scope='module')
def slices(tmp_path_factory):
    return make_membrane_set(
        tmp_path_factory.mktemp('membranes') / 'set', train=3, val=1,
        size=(96, 96), difficulty='easy', workers=1)


@pytest.fixture(scope='module')
def recipe():
    return Config.fromfile(CONFIG)


def train(recipe, slices, folder):
    config = copy.deepcopy(recipe)
    size = (156, 156)
    config.model.data_preprocessor.size = size
    config.model.backbone.base_channels = 2
    config.model.decode_head.in_channels = 2
    for loader in (config.train_dataloader, config.val_dataloader,
                   config.test_dataloader):
        loader.num_workers = 0
        loader.persistent_workers = False
        loader.dataset.data_root = str(slices)
    for step in config.train_dataloader.dataset.pipeline:
        if step.type == 'RandomCrop':
            step.crop_size = size
        if step.type == 'mmdense.BorderWeights':
            step.cache_dir = str(folder / 'weights')
    config.train_cfg.update(max_iters=3, val_interval=3)
    config.default_hooks.checkpoint.interval = 3
    config.work_dir = str(folder)
    config.experiment_name = folder.name
    with DefaultScope.overwrite_default_scope('mmseg'):
        runner = Runner.from_cfg(config)
        runner.train()
    weights = [p.flatten() for p in runner.model.parameters()]
    scores = runner.message_hub.log_scalars
    return torch.cat(weights), {
        name: scores[f'val/{name}'].current()
        for name in ('pixel_error', 'rand_error', 'warping_error')
    }


def test_the_quick_recipe_trains_tests_and_repeats_itself(
        recipe, slices, tmp_path):
    first, errors = train(recipe, slices, tmp_path / 'first')
    assert all(0 <= error <= 1 for error in errors.values())
    assert len(list((tmp_path / 'first/weights').iterdir())) == 3
    again, same = train(recipe, slices, tmp_path / 'again')
    assert torch.equal(first, again) and same == errors
