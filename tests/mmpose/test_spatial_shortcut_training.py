"""The light network through mmpose's own runner, narrow, as users do."""
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from mmdense.datasets import make_pose_set  # noqa: E402

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / 'configs' / 'mmpose' / 'spatial_shortcut' /
          'td-hm_ssn-3block-k256_quick_synthetic-128x96.py')


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    make_pose_set(folder, train=12, val=4, size=(128, 96), workers=1)
    return folder


def run(people, work_dir, iters=6, begin=3, **changes):
    given = {
        'train_cfg.max_iters': iters,
        'train_cfg.val_interval': 100,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'custom_hooks.1.begin': begin,
        'custom_hooks.2.interval': 1,
        'param_scheduler.0.milestones': [2, 4],
        'model.backbone.stem_channels': 8,
        'model.backbone.base_channels': 4,
        'model.backbone.norm_cfg.num_groups': 4,
        'model.backbone.shift.shift_channels': 6,
        'model.head.in_channels': 16,
        'model.head.groups': 4,
    }
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.dataset.data_root'] = f'{people}/'
        given[f'{split}_dataloader.batch_size'] = 2
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.persistent_workers'] = False
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(given | changes)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{Path(work_dir).name}-{time.time_ns()}'
    return Runner.from_cfg(cfg)


class Rates(Hook):
    """Learning rates of offsets and others at every iteration."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, *args, **kwargs):
        groups = runner.optim_wrapper.param_groups
        self.seen.append(tuple(
            {g['lr'] for g in groups if (g.get('group') == 'offset') == own}
            for own in (True, False)))


class Stop(Hook):
    """As if killed after some iterations."""

    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            runner.train_loop.stop_training = True


def weights(folder, iteration):
    return torch.load(folder / f'iter_{iteration}.pth')['state_dict']


def test_modules_enter_and_each_group_follows_its_schedule(people, tmp_path):
    # More people than pictures, so ask how long an epoch is.
    epoch = len(
        Runner.build_dataloader(run(people, tmp_path)._train_dataloader))
    runner, rates = run(people, tmp_path, iters=epoch + 2), Rates()
    runner.register_hook(rates)
    runner.train()
    assert len(rates.seen) == epoch + 2
    for iteration, (offset, other) in enumerate(rates.seen):
        halvings = sum(iteration >= at for at in (2, 4))
        assert offset == {1e-2 * 0.9**(iteration // epoch)}
        assert other == {2e-3 * 0.5**halvings}
    early = [weights(tmp_path, i) for i in (1, 3, 4)]
    for name in early[0]:
        same = torch.equal(early[0][name], early[1][name])
        assert same == name.startswith('backbone.shift'), name
    for name in early[0]:
        if 'shift.offset' in name:
            assert not torch.equal(early[1][name], early[2][name])


@pytest.mark.parametrize(
    'stop', [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_training_resumed_across_the_insertion_is_the_same(
        people, tmp_path, stop):
    # A worker's random numbers start anew and are skipped with the data; the
    # main process's would go on from elsewhere.
    worker = {'train_dataloader.num_workers': 1}
    run(people, tmp_path / 'whole', **worker).train()
    part = run(people, tmp_path / 'parts', **worker)
    part.register_hook(Stop(stop))
    part.train()
    assert not (tmp_path / 'parts' / f'iter_{stop + 1}.pth').exists()
    run(people, tmp_path / 'parts', resume=True, **worker).train()
    whole, parts = (weights(tmp_path / part, 6) for part in ('whole', 'parts'))
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_every_predictor_is_evaluated_in_one_test(people, tmp_path):
    run(people, tmp_path).train()
    pck = dict(type='PCKAccuracy', thr=0.2, norm_item='bbox')
    tester = run(
        people, tmp_path / 'test', load_from=str(tmp_path / 'iter_6.pth'),
        **{
            'model.test_cfg.every_predictor': True,
            'test_evaluator': [
                pck,
                dict(type='mmdense.OfPredictor', predictor='P1',
                     metric=dict(pck, prefix='P1'))
            ]
        })
    result = tester.test()
    assert result['P1/PCK'] == result['PCK']


def test_offsets_of_another_k_are_refused_by_name(people, tmp_path):
    run(people, tmp_path, iters=1).train()
    with pytest.raises(
            ValueError, match=r'backbone.shift1_1.*offset must be 8 x 2'):
        run(people, tmp_path / 'test',
            load_from=str(tmp_path / 'iter_1.pth'),
            **{'model.backbone.shift.shift_channels': 8}).train()
