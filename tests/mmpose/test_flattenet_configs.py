"""The FlatteNet recipes: built, counted against the paper, run by shape."""
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmengine.hub import get_config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmpose.models import build_pose_estimator  # noqa: E402

from mmdense.analysis.paper_figures import paper_rows  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmpose' / 'flattenet'
MPII = '_1xb32-140e_mpii-256x256'

# Parameters and multiply-adds, exact, of what has no row of its own among
# the papers' figures (tests/test_configs.py counts those): the networks of
# Table II, the 384x384 model, COCO and the folded form.
COUNTS = {
    'res152' + MPII: (58_373_712, 15_051_390_976),
    'res152_1xb32-140e_mpii-384x384': (58_373_712, 33_865_629_696),
    'res50-regular1x1' + MPII: (27_706_960, 5_608_833_024),
    'res50-relu' + MPII: (23_735_888, 5_354_160_128),
    'res50-cout8x' + MPII: (24_228_944, 5_398_200_320),
    'res50-pixelshuffle' + MPII: (23_737_936, 5_354_160_128),
    'res50-randperm' + MPII: (23_737_936, 5_354_160_128),
    'res50-folded' + MPII: (23_737_936, 5_354_160_128),
    'res50_8xb64-210e_coco-256x192': (23_737_969, 4_015_718_400),
}
# Whole networks of the paper's rows.
COUNTED = {
    row['config'].stem.removeprefix('td-hm_flattenet-')
    for row in paper_rows(CONFIGS.parents[1])
    if row['config'].parent == CONFIGS and 'part' not in row
}


def load(name):
    return Config.fromfile(CONFIGS / f'td-hm_flattenet-{name}.py')


def build_on_meta(config):
    init_default_scope('mmpose')
    with torch.device('meta'):
        return build_pose_estimator(config.model).eval()


def test_every_recipe_is_counted():
    names = {
        path.stem.removeprefix('td-hm_flattenet-')
        for path in CONFIGS.glob('*.py')
        if not any(part in path.stem for part in ('quick', '1xb32-1e'))
    }
    assert names == set(COUNTS) | COUNTED


@pytest.mark.parametrize('name', COUNTS)
def test_counts_of_the_built_network_are_the_papers(name):
    config = load(name)
    model = build_on_meta(config)
    width, height = config.codec.input_size
    counter = FlopCounterMode(display=False)
    with torch.device('meta'), torch.no_grad(), counter:
        out = model(torch.zeros(1, 3, height, width), None, mode='tensor')
    joints = 17 if 'coco' in name else 16
    assert out.shape == (1, joints, height // 4, width // 4)
    params = sum(p.numel() for p in model.parameters())
    assert (params, counter.get_total_flops() // 2) == COUNTS[name]


@pytest.mark.parametrize(
    'name', sorted(name for name in {*COUNTS, *COUNTED} if 'mpii' in name))
def test_training_is_that_of_section_4a(name):
    config = load(name)
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr) == ('Adam', 1e-3)
    assert config.train_cfg.max_epochs == 140
    [steps] = config.param_scheduler
    assert steps.milestones == [90, 120] and steps.get('gamma', .1) == .1
    assert config.train_dataloader.batch_size == 32
    size, sigma = ((384, 384), 3) if '384' in name else ((256, 256), 2)
    for part in (config.codec, config.model.head.decoder,
                 config.train_dataloader.dataset.pipeline[-2].encoder):
        assert (tuple(part.input_size), part.sigma) == (size, sigma)
        assert not part.get('unbiased', False)  # the quarter offset
    for loader in (config.train_dataloader, config.val_dataloader,
                   config.test_dataloader):
        assert tuple(
            step.input_size for step in loader.dataset.pipeline
            if step.type == 'TopdownAffine') == (size, )
    assert config.model.test_cfg.flip_test
    assert config.val_evaluator.type == 'mmdense.MpiiPCKh'
    assert config.test_evaluator.type == 'mmdense.MpiiPCKh'


def test_augmentation_differs_from_the_hosts_in_its_extent_only():
    ours = load('res50' + MPII).train_dataloader.dataset.pipeline
    theirs = get_config(
        'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
        'td-hm_res50_8xb64-210e_mpii-256x256.py'
    ).train_dataloader.dataset.pipeline
    for our, their in zip(ours, theirs, strict=True):
        if 'encoder' in our:  # mmengine notes the base's scope in it
            our = dict(our, encoder=dict(our.encoder))
            assert our['encoder'].pop('_scope_') == 'mmpose'
        if their.type == 'RandomBBoxTransform':
            their = dict(their, rotate_factor=30, scale_factor=(.75, 1.25))
        assert our == their


def test_pretrained_weights_belong_to_the_backbone():
    for depth in (50, 101, 152):
        backbone = load(f'res{depth}{MPII}').model.backbone
        assert backbone.depth == depth
        assert backbone.init_cfg.checkpoint == f'torchvision://resnet{depth}'


def test_quick_start_is_small_and_starts_from_nothing():
    config = load('res18_quick_synthetic-128x96')
    assert config.model.backbone.init_cfg is None
    assert config.load_from is None
    model = build_on_meta(config)
    with torch.device('meta'), torch.no_grad():
        out = model(torch.zeros(1, 3, 128, 96), None, mode='tensor')
    assert out.shape == (1, 17, 32, 24)
    assert sum(p.numel() for p in model.parameters()) < 3_000_000


def test_quick_start_validates_on_other_people_than_it_trains_on():
    config = load('res18_quick_synthetic-128x96')
    train = config.train_dataloader.dataset
    for loader in (config.val_dataloader, config.test_dataloader):
        assert loader.dataset.ann_file != train.ann_file
        assert loader.dataset.bbox_file is None
        types = [step.type for step in loader.dataset.pipeline]
        assert not any('Random' in name for name in types)
    for evaluator in (config.val_evaluator, config.test_evaluator):
        assert dict(evaluator[0]) == dict(
            type='PCKAccuracy', thr=0.2, norm_item='bbox')
