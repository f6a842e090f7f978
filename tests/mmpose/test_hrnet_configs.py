"""HRNetV1's recipes in mmpose: augmentation, schedule, the stream it uses."""
import copy
import functools
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmpose.registry import MODELS  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmpose' / 'hrnet'
FULL = sorted(path.stem for path in CONFIGS.glob('*_coco-*.py'))
QUICK = 'td-hm_hrnetv1-w8_quick_synthetic-128x96'


@functools.cache
def parsed(path):
    return Config.fromfile(path)


def load(name):
    return copy.deepcopy(parsed(CONFIGS / f'{name}.py'))


def test_there_are_four_full_recipes():
    assert len(FULL) == 4


@pytest.mark.parametrize('name', FULL)
def test_recipe_is_that_of_the_pose_paper(name, tmp_path):
    config = load(name)
    [turn] = [
        step for step in config.train_dataloader.dataset.pipeline
        if step.type == 'RandomBBoxTransform'
    ]
    assert turn.rotate_factor == 45 and turn.scale_factor == (0.65, 1.35)
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr) == ('Adam', 1e-3)
    [steps] = config.param_scheduler
    assert (steps.milestones, steps.end) == ([170, 200], 210)
    assert config.train_cfg.max_epochs == 210
    width = int(name.split('-w')[1][:2])
    batch = 64 if width == 32 else 32
    size = name.rsplit('-', 1)[1]
    file = tmp_path / 'host.py'
    file.write_text("_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/"
                    f"td-hm_hrnet-w{width}_8xb{batch}-210e_coco-{size}.py'")
    assert config.model == parsed(file).model
    assert list(config.model.backbone.extra.stage4.num_channels) == [
        width << stream for stream in range(4)
    ]


def test_heatmaps_come_from_the_finest_stream_alone():
    """And yet every stream has a part in it, by the fusions before."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(load(QUICK).model).eval()
    x = torch.randn(1, 3, 128, 96)
    features = model.backbone(x)
    assert [f.shape[1:] for f in features] == [(8, 32, 24)]
    heatmaps = model(x, None, mode='tensor')
    assert heatmaps.shape == (1, 17, 32, 24)
    heatmaps.sum().backward()
    for stream in range(4):
        branch = model.backbone.stage4[-1].branches[stream]
        assert branch[-1].conv2.weight.grad.abs().max() > 0
