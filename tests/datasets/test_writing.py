"""Sets are whole, repeatable, resumed and never mixed."""
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from mmdense.datasets import (
    make_detection_set,
    make_membrane_set,
    make_pose_set,
    make_segmentation_set,
    writing,
)

ARGUMENTS = dict(kind='toy', train=5, val=2, seed=0)
MAKERS = (make_detection_set, make_membrane_set, make_pose_set,
          make_segmentation_set)


def draw(out, split, index, log=None, fail=None):
    if (split, index) == fail:
        raise OSError('the disk is full')
    if log is not None:
        log.append((split, index))
    writing.write_bytes(out / f'{writing.sample_name(split, index)}.txt',
                        f'{split} {index}'.encode())
    return dict(index=index)


def finish(out, parts):
    writing.write_json(out / 'all.json', parts)


def files_of(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in Path(root).rglob('*') if path.is_file()
    }


def write(out, **kwargs):
    log = []
    writing.write_set(out, ARGUMENTS, functools.partial(draw, log=log,
                                                        **kwargs), finish, 1)
    return log


def test_parts_are_described_in_order(tmp_path):
    write(tmp_path / 'set')
    parts = json.loads((tmp_path / 'set/all.json').read_text())
    assert [p['index'] for p in parts['train']] == [0, 1, 2, 3, 4]
    assert [p['index'] for p in parts['val']] == [0, 1]
    assert not (tmp_path / 'set/.parts').exists()


def test_a_whole_set_is_reused(tmp_path):
    assert len(write(tmp_path / 'set')) == 7
    before = files_of(tmp_path)
    assert write(tmp_path / 'set') == []
    assert files_of(tmp_path) == before


def test_a_stopped_run_describes_nothing_and_resumes(tmp_path):
    with pytest.raises(OSError, match='disk is full'):
        write(tmp_path / 'set', fail=('train', 3))
    assert not (tmp_path / 'set/all.json').exists()
    assert write(tmp_path / 'set') == [('train', 3), ('train', 4), ('val', 0),
                                       ('val', 1)]
    write(tmp_path / 'straight')
    assert files_of(tmp_path / 'set') == files_of(tmp_path / 'straight')


def test_a_lost_file_is_noticed(tmp_path):
    write(tmp_path / 'set')
    before = files_of(tmp_path)
    (tmp_path / 'set/01000002.txt').unlink()
    assert len(write(tmp_path / 'set')) == 7
    assert files_of(tmp_path) == before


def test_another_set_in_the_folder_is_refused_by_name(tmp_path):
    write(tmp_path / 'set')
    other = dict(ARGUMENTS, seed=1)
    with pytest.raises(ValueError, match=r'set holds another set \(seed 0 '
                       r'there, 1 wanted\)'):
        writing.write_set(tmp_path / 'set', other, draw, finish, 1)


def test_a_stopped_run_is_not_continued_by_another_set(tmp_path):
    with pytest.raises(OSError, match='disk is full'):
        write(tmp_path / 'set', fail=('train', 3))
    with pytest.raises(ValueError, match='train 5 there, 6 wanted'):
        writing.write_set(tmp_path / 'set', dict(ARGUMENTS, train=6), draw,
                          finish, 1)


def test_what_is_no_path_is_refused():
    with pytest.raises(TypeError, match='out must be a path, got 3'):
        write(3)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(ValueError, match='not empty and has no manifest'):
        write(tmp_path)
    with pytest.raises(ValueError, match='must be a folder, got a file'):
        write(tmp_path / 'thesis.txt')
    (tmp_path / 'manifest.json').write_text('{"name": "my web page"}')
    with pytest.raises(ValueError, match='not the manifest of a generated'):
        write(tmp_path)


def test_a_write_that_fails_leaves_no_file(tmp_path, monkeypatch):

    def fail(*_):
        raise OSError('no')

    monkeypatch.setattr(writing.os, 'replace', fail)
    with pytest.raises(OSError, match='no'):
        writing.write_json(tmp_path / 'all.json', [1])
    assert files_of(tmp_path) == {}


def test_samples_differ_between_splits_indices_and_seeds():
    names = {writing.sample_name(s, i) for s in writing.SPLITS
             for i in (0, 1, 999998)}
    draws = {
        float(writing.sample_rng(seed, split, index).random())
        for seed in (0, 1) for split in writing.SPLITS for index in (0, 1)
    }
    assert len(names) == 6 and len(draws) == 8


def test_run_lengths_count_down_the_columns():
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert writing.run_lengths(mask) == dict(size=[2, 3], counts=[2, 3, 1])
    # The first run is of zeros, even when there is none.
    assert writing.run_lengths(~mask)['counts'] == [0, 2, 3, 1]
    assert writing.run_lengths(np.ones((2, 3), bool))['counts'] == [0, 6]


@pytest.mark.parametrize('make', MAKERS)
def test_workers_and_runs_do_not_change_a_byte(make, tmp_path):
    # One more process costs a second: only for the first maker.
    workers = 2 if make is MAKERS[2] else 1
    kwargs = dict(train=3, val=2, size=(48, 64), seed=11)
    one = files_of(make(tmp_path / 'one', workers=1, **kwargs))
    two = files_of(make(tmp_path / 'two', workers=workers, **kwargs))
    assert one == two and len(one) > 5
    other = files_of(make(tmp_path / 'other', workers=1,
                          **dict(kwargs, seed=12)))
    assert other.keys() == one.keys() and other != one


@pytest.mark.parametrize('make', MAKERS)
@pytest.mark.parametrize('wrong, message', [
    (dict(difficulty='tricky'), "difficulty must be one of easy, .*'tricky'"),
    (dict(size=(16, 64)), r'size\[0\] must be 32 to 8192, got 16'),
    (dict(train=-1), 'train must be 0 to 999999, got -1'),
    (dict(train=0, val=0), 'both 0'),
    (dict(seed=-1), 'seed must be 0'),
    (dict(workers=0), 'workers must be 1'),
])
def test_arguments_out_of_range_are_named(make, wrong, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(tmp_path / 'set', **wrong)
    assert not (tmp_path / 'set').exists()
