"""mmengine's checkpoints load, and only they: the check stays in force."""
import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import OneCycleLR
from mmengine.runner import save_checkpoint

import mmdense.registry  # noqa: F401 - allow-lists on import
from mmdense.checkpoints.reading import (
    allow_mmengine_checkpoints,
    is_whole,
    load_weights,
    read_checkpoint,
)


def message_hub():
    hub = MessageHub.get_instance('test_checkpoint')
    for step in range(3):
        hub.update_scalar('train/loss', np.float64(1.0 / (step + 1)))
        hub.update_scalar('train/lr', 0.1)
    hub.update_info('iter', 3)
    return hub.state_dict()


def test_a_message_hub_survives_weights_only(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    state = dict(
        meta=dict(epoch=1, seed=np.int64(3)),
        state_dict=dict(weight=torch.ones(2)),
        message_hub=message_hub())
    torch.save(state, path)
    loaded = torch.load(path, weights_only=True)
    buffer = loaded['message_hub']['log_scalars']['train/loss']
    assert buffer.current() == pytest.approx(1 / 3)
    assert buffer.statistics('mean') == pytest.approx(11 / 18)


def test_a_one_cycle_schedule_survives_weights_only(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    optimizer = torch.optim.SGD([torch.ones(1)], lr=0.1)
    schedule = OneCycleLR(optimizer, eta_max=1, total_steps=4)
    torch.save(dict(param_schedulers=[schedule.state_dict()]), path)
    state = torch.load(path, weights_only=True)['param_schedulers'][0]
    assert state['anneal_func'](0, 1, 0.5) == pytest.approx(0.5)


def metas_of(host):
    """What every data set of a host puts into a checkpoint, by name."""
    package = Path(pytest.importorskip(host).__file__).parent
    importlib.import_module(f'{host}.datasets')
    sets = importlib.import_module(f'{host}.registry').DATASETS.module_dict
    if host != 'mmpose':
        return {
            name: kind._load_metainfo({}) for name, kind in sets.items()
            if hasattr(kind, '_load_metainfo')
        }
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    files = sorted((package / '.mim/configs/_base_/datasets').glob('*.py'))
    return {
        file.name: parse_pose_metainfo(dict(from_file=str(file)))
        for file in files
    }


@pytest.mark.parametrize('host, least', [
    ('mmpose', 55), ('mmseg', 20), ('mmdet', 20)])
def test_the_meta_of_every_data_set_of_a_host_is_read(tmp_path, host, least):
    """26 of mmpose's have an empty array: no skeleton, or no sigmas."""
    metas, path = metas_of(host), tmp_path / 'epoch_1.pth'
    assert len(metas) >= least
    for name, meta in metas.items():
        save_checkpoint(
            dict(meta=dict(dataset_meta=meta), state_dict={}), str(path))
        read = read_checkpoint(path)['meta']['dataset_meta']
        np.testing.assert_equal(read, meta, name)


def test_the_dicts_of_a_config_are_read_as_plain_ones(tmp_path):
    """A data set keeps what its config's `metainfo` holds."""
    path = tmp_path / 'epoch_1.pth'
    config = Config(dict(metainfo=dict(label_map={7: 1}, more=[dict(a=2)])))
    save_checkpoint(
        dict(meta=dict(dataset_meta=config.metainfo)), str(path))
    meta = read_checkpoint(path)['meta']['dataset_meta']
    assert meta == dict(label_map={7: 1}, more=[dict(a=2)])
    assert type(meta) is type(meta['label_map']) is dict


@pytest.mark.skipif(
    torch.__version__ < (2, 6), reason='lists that end came with torch 2.6')
def test_an_allow_list_that_ends_takes_nothing_off_ours(tmp_path):
    """mmengine's fork loads every checkpoint under a list of its own."""
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(message_hub=message_hub()), path)
    with torch.serialization.safe_globals([HistoryBuffer, np.dtype]):
        pass
    assert torch.load(path, weights_only=True)['message_hub']


def test_allowing_again_changes_nothing():
    count = len(torch.serialization.get_safe_globals())
    allow_mmengine_checkpoints()
    assert len(torch.serialization.get_safe_globals()) == count


def test_without_mmdense_the_same_file_is_refused(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(message_hub=message_hub()), path)
    code = 'import sys, torch; torch.load(sys.argv[1], weights_only=True)'
    result = subprocess.run([sys.executable, '-c', code, path],
                            capture_output=True,
                            text=True)
    assert 'HistoryBuffer' in result.stderr


class RunsACommand:

    def __reduce__(self):
        return os.system, ('echo never', )


class ReachesPrivateAttributes:

    def __reduce__(self):
        from mmengine.logging import HistoryBuffer
        return getattr, (HistoryBuffer, '__init__')


class ReachesUnhashable:

    def __reduce__(self):
        return getattr, ([], 'append')


class ReachesAnotherClass:

    def __reduce__(self):
        return getattr, (np.ndarray, 'tofile')


class WantsAllMemory:

    def __reduce__(self):
        return bytes, (10**12, )


@pytest.mark.parametrize('payload, reason', [
    (RunsACommand(), 'posix.system'),
    (WantsAllMemory(), r'bytes\(1000000000000,\)'),
    (ReachesPrivateAttributes(), '__init__'),
    (ReachesAnotherClass(), "'tofile' of <class 'numpy.ndarray'>"),
    (ReachesUnhashable(), "'append' of"),
])
def test_a_crafted_file_is_refused(tmp_path, payload, reason):
    path = tmp_path / 'crafted.pth'
    torch.save(dict(state_dict=payload), path)
    with pytest.raises(pickle.UnpicklingError, match=reason):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize('content', [
    dict(state_dict=3), {0: torch.ones(1)}, dict(state_dict={1: torch.ones(1)})
])
def test_a_file_without_named_weights_does_not_fit(tmp_path, content):
    path = tmp_path / 'other.pth'
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"2 of the network's 2 entries"):
        load_weights(torch.nn.Linear(1, 1), path)


def stored(path, **options):
    torch.save(dict(weight=torch.ones(1000)), path, **options)
    return path


def zeroed(path, start, count):
    data = path.read_bytes()
    path.write_bytes(data[:start] + bytes(count) + data[start + count:])


def test_a_file_with_any_part_zeroed_is_not_whole(tmp_path):
    path = stored(tmp_path / 'epoch_1.pth')
    data = path.read_bytes()
    assert is_whole(path)
    weight = data.index(torch.ones(1000).numpy().tobytes())
    for start, count in [(0, 64), (weight, 1000), (weight + 3996, 4),
                         (len(data) - 64, 64), (0, len(data))]:
        zeroed(path, start, count)
        assert not is_whole(path), (start, count)
        with pytest.raises(ValueError, match='epoch_1.pth is not whole'):
            read_checkpoint(path)
        path.write_bytes(data)


@pytest.mark.skipif(
    torch.__version__ < (2, 6), reason='the option came with torch 2.6')
def test_a_file_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = stored(tmp_path / 'epoch_1.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert is_whole(path)
    assert read_checkpoint(path)['weight'].sum() == 1000


def test_a_file_from_before_archives_is_read(tmp_path):
    path = stored(
        tmp_path / 'epoch_1.pth', _use_new_zipfile_serialization=False)
    assert is_whole(path)
    assert read_checkpoint(path)['weight'].sum() == 1000
