"""The quick-start network through mmpose's own runner, small, as users do."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

import mmdense.registry  # noqa: E402, F401 - what lets checkpoints load
from mmdense.datasets import make_pose_set  # noqa: E402

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / 'configs' / 'mmpose' / 'flattenet' /
          'td-hm_flattenet-res18_quick_synthetic-128x96.py')


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    make_pose_set(folder, train=48, val=8, size=(128, 96), workers=1)
    return folder


def options(people, **changes):
    """What makes the quick start a matter of seconds."""
    given = {
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'param_scheduler.0.total_steps': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 1,
        'randomness.seed': 0,
    }
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.dataset.data_root'] = f'{people}/'
        given[f'{split}_dataloader.batch_size'] = 4
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.persistent_workers'] = False
    return given | changes


def config(people, work_dir, **changes):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(options(people, **changes))
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{Path(work_dir).name}-{time.time_ns()}'
    return cfg


def run(people, work_dir, **changes):
    return Runner.from_cfg(config(people, work_dir, **changes))


def mim(*args):
    return [str(Path(sys.executable).with_name('mim')), *map(str, args)]


def test_one_epoch_trains_and_tests(people, tmp_path):
    runner = run(people, tmp_path)
    runner.train()
    assert (tmp_path / 'epoch_1.pth').is_file()
    tester = run(people, tmp_path / 'test',
                 load_from=str(tmp_path / 'epoch_1.pth'))
    assert 0 <= tester.test()['PCK'] <= 1


def test_a_missing_data_set_is_named(people, tmp_path):
    with pytest.raises(AssertionError, match='nowhere/annotations'):
        run(people, tmp_path,
            **{'train_dataloader.dataset.data_root': 'nowhere/'}).train()


def test_an_unknown_option_is_named(people, tmp_path):
    with pytest.raises(TypeError, match='upscael'):
        run(people, tmp_path, **{'model.neck.upscael': 4})


def test_an_impossible_group_number_is_named(people, tmp_path):
    with pytest.raises(ValueError, match='groups_first'):
        run(people, tmp_path,
            **{'model.neck.layers': [dict(groups_first=7, groups_second=16)]})


def test_a_checkpoint_of_another_network_is_refused(people, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(1))), path)
    with pytest.raises(ValueError, match='other.pth does not fit'):
        run(people, tmp_path, load_from=str(path)).test()


def test_a_truncated_checkpoint_is_named_and_the_others_stay(people, tmp_path):
    run(people, tmp_path).train()
    path = tmp_path / 'epoch_1.pth'
    kept = path.read_bytes()
    (tmp_path / 'cut.pth').write_bytes(kept[:len(kept) // 2])
    with pytest.raises(ValueError, match='cut.pth is not whole'):
        run(people, tmp_path, load_from=str(tmp_path / 'cut.pth')).test()
    assert path.read_bytes() == kept


@pytest.mark.parametrize('content, error', [(b'', cv2.error),
                                            (b'no picture', AssertionError)])
def test_an_image_that_does_not_decode_is_named(tmp_path, content, error):
    folder = tmp_path / 'people'
    make_pose_set(folder, train=4, val=4, size=(128, 96), workers=1)
    image = sorted((folder / 'images').iterdir())[2]
    image.write_bytes(content)
    with pytest.raises(error, match=image.name):
        run(folder, tmp_path / 'work').train()


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_weights(people, tmp_path):
    """Killed in epoch 3 of 4; equal to the bit to one that was not.

    Workers are started anew each epoch here: with `persistent_workers` their
    random state goes on from epoch to epoch, which no checkpoint holds.
    """
    changes = options(people) | {
        'train_cfg.max_epochs': 4,
        'train_cfg.val_interval': 4,
        'param_scheduler.0.total_steps': 4,
        'train_dataloader.num_workers': 1
    }

    def command(folder, *more):
        return mim('train', 'mmpose', CONFIG, '--work-dir', tmp_path / folder,
                   *more, '--cfg-options',
                   *(f'{key}={value}' for key, value in changes.items()))

    subprocess.run(command('whole'), check=True, stdout=subprocess.DEVNULL)
    log = open(tmp_path / 'killed.log', 'w+')
    process = subprocess.Popen(
        command('killed'), stdout=log, stderr=log, start_new_session=True)
    third = re.compile(r'Epoch\(train\) +\[3\]\[ *3/')
    while not third.search((tmp_path / 'killed.log').read_text()):
        assert process.poll() is None, 'ended before it could be killed'
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'killed' / 'epoch_3.pth').exists()
    subprocess.run(
        command('killed', '--resume'), check=True, stdout=subprocess.DEVNULL)

    def result(folder):
        scalars = sorted((tmp_path / folder).glob('*/vis_data/scalars.json'))
        lines = scalars[-1].read_text().splitlines()
        return json.loads(lines[-1])['PCK']

    assert result('killed') == result('whole')
    weights = [
        torch.load(tmp_path / folder / 'epoch_4.pth')['state_dict']
        for folder in ('whole', 'killed')
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


@pytest.mark.slow
def test_mim_tests_what_mim_trained(people, tmp_path):
    given = [f'{key}={value}' for key, value in options(people).items()]
    subprocess.run(
        mim('train', 'mmpose', CONFIG, '--work-dir', tmp_path, '--cfg-options',
            *given),
        check=True)
    subprocess.run(
        mim('test', 'mmpose', CONFIG, '-C', tmp_path / 'epoch_1.pth',
            '--work-dir', tmp_path / 'test', '--out', tmp_path / 'out.json',
            '--cfg-options', *given),
        check=True)
    assert 'PCK' in json.loads((tmp_path / 'out.json').read_text())


@pytest.mark.slow
def test_what_was_trained_compiled_is_tested_without(people, tmp_path):
    runner = run(people, tmp_path, **{
        'compile': True,
        'model.train_cfg.compute_acc': False
    })
    runner.train()
    assert 'train_step' in vars(runner.model), 'nothing was compiled'
    tester = run(people, tmp_path / 'test',
                 load_from=str(tmp_path / 'epoch_1.pth'))
    assert 0 <= tester.test()['PCK'] <= 1
