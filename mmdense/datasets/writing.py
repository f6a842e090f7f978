"""Writing a generated set: in parallel, resumable, the same bytes each time.

A set is a folder with a manifest of its arguments. Every sample draws from a
generator seeded by (seed, split, index), so neither the number of workers nor
the order they finish in can change a byte. A file appears under its name only
when it is whole. The annotations of a finished sample wait in ``.parts``
until the last one is there; a stopped run starts again from them.
"""
import io
import json
import os
import shutil
import signal
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from numbers import Integral
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

MANIFEST = 'manifest.json'
SPLITS = ('train', 'val')
# Raised whenever the same arguments give other pictures or annotations, so
# that a folder an older version wrote is not taken for the same set.
GENERATOR = 1


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` is either whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: dict | list) -> None:
    """Write ``content`` as compact json."""
    write_bytes(path, json.dumps(content, separators=(',', ':')).encode())


def write_lines(path: Path, lines: list[str]) -> None:
    """Write one line of text an entry."""
    write_bytes(path, ''.join(f'{line}\n' for line in lines).encode())


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write a uint8 BGR image, shape (H, W, 3)."""
    write_bytes(
        path,
        cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


def write_png(path: Path, image: np.ndarray,
              palette: np.ndarray | None = None) -> None:
    """Write a uint8 or uint16 map (H, W), with a palette (256, 3) if given."""
    if palette is None:
        write_bytes(path, cv2.imencode('.png', image)[1])
        return
    picture = Image.fromarray(image)
    picture.putpalette(palette.astype(np.uint8).tobytes())
    data = io.BytesIO()
    picture.save(data, 'png')
    write_bytes(path, data.getvalue())


def run_lengths(mask: np.ndarray) -> dict:
    """Return COCO's run lengths of a bool mask (H, W), by columns."""
    flat = np.concatenate([[0], mask.astype(np.int8).ravel(order='F'), [0]])
    change = np.flatnonzero(np.diff(flat))
    # Runs alternate from 0 to 1; the first counts zeros, also when none.
    counts = np.diff(np.concatenate([[0], change, [mask.size]]))
    if counts[-1] == 0:
        counts = counts[:-1]
    return dict(size=list(mask.shape), counts=counts.tolist())


def sample_name(split: str, index: int) -> str:
    """Return the name of a sample: eight digits, unique in the set."""
    return f'{SPLITS.index(split):02d}{index + 1:06d}'


def sample_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Return the random generator of one sample."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def check_arguments(train: int, val: int, size: tuple[int, int], seed: int,
                    workers: int) -> None:
    """Raise if a size or a number is out of range.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_image_size(size)
    for name, value, low, high in (('train', train, 0, 999999),
                                   ('val', val, 0, 999999),
                                   ('seed', seed, 0, 2**63 - 1),
                                   ('workers', workers, 1, 256)):
        _check_range(name, value, low, high)
    if train + val == 0:
        raise ValueError('train and val are both 0: nothing to generate')


def check_image_size(size: tuple[int, int]) -> None:
    """Raise unless ``size`` is a height and a width of a synthetic image.

    Raises:
        ValueError: If it is not two integers from 32 to 8192.
    """
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f'size must be (height, width), got {size!r}')
    for k, side in enumerate(size):
        _check_range(f'size[{k}]', side, 32, 8192)


def _check_range(name, value, low, high):
    if not isinstance(value, Integral) or not low <= value <= high:
        raise ValueError(f'{name} must be {low} to {high}, got {value!r}')


def check_choice(name: str, value: str, choices) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(
            f'{name} must be one of {", ".join(choices)}, got {value!r}')


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_set(out: str | os.PathLike,
             kind: str,
             draw: Callable,
             difficulties: Collection[str],
             train: int,
             val: int,
             size: tuple[int, int],
             seed: int,
             difficulty: str,
             workers: int | None,
             finish: Callable | None = None,
             **more) -> Path:
    """Check the arguments that all sets share, then write the set.

    Args:
        out (str | os.PathLike): Folder of the set.
        kind (str): Name of the kind of set, for the manifest.
        draw (Callable): ``draw(size, seed, difficulty, out, split, index)``
            draws one sample, as in :func:`write_set`.
        difficulties (Collection[str]): What ``difficulty`` may be.
        train (int): Number of training images.
        val (int): Number of validation images.
        size (tuple[int, int]): Height and width in pixels.
        seed (int): The same seed gives the same bytes.
        difficulty (str): One of ``difficulties``.
        workers (int, optional): Processes; one a core if None.
        finish (Callable, optional): As in :func:`write_set`. By default, the
            files of the samples are the whole set.
        **more: Further arguments that decide what the set holds, for the
            manifest.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If an argument is out of range, or the folder holds
            anything other than this set.
    """
    workers = default_workers() if workers is None else workers
    check_arguments(train, val, size, seed, workers)
    check_choice('difficulty', difficulty, difficulties)
    arguments = dict(
        kind=kind, train=train, val=val, size=[int(side) for side in size],
        seed=seed, difficulty=difficulty, **more)
    return write_set(out, arguments,
                     partial(draw, tuple(size), seed, difficulty),
                     finish or _nothing_more, workers)


def _nothing_more(out, parts):
    """Write nothing: the samples' files are the whole set."""


def write_set(out: str | os.PathLike, arguments: dict,
              draw: Callable[[Path, str, int], dict],
              finish: Callable[[Path, dict[str, list[dict]]], None],
              workers: int) -> Path:
    """Write a set, continue a stopped one, or find it already there.

    Args:
        out (str | os.PathLike): Folder of the set.
        arguments (dict): All that decides its content, json values; holds
            ``train`` and ``val``, the numbers of samples.
        draw (Callable): ``draw(out, split, index)`` writes one sample's files
            and returns its annotations. A module's function or a partial of
            one: it is sent to other processes.
        finish (Callable): ``finish(out, parts)`` writes what describes the
            set; ``parts[split]`` are the annotations in order of the index.
        workers (int): Processes; with 1 no other process is started. With
            more, a script that calls this needs ``if __name__ ==
            '__main__'``.

    Returns:
        Path: The folder.

    Raises:
        TypeError: If ``out`` is not a path.
        ValueError: If the folder holds anything other than this set.
    """
    if not isinstance(out, str | os.PathLike):
        raise TypeError(f'out must be a path, got {out!r}')
    out = Path(out)
    arguments = json.loads(json.dumps(dict(arguments, generator=GENERATOR)))
    manifest = _manifest(out, arguments)
    if manifest.get('files') is not None and \
            manifest['files'] == _count_files(out):
        print(f'{out}: reused, this set is already there')
        return out
    manifest = dict(arguments=arguments, files=None)
    write_json(out / MANIFEST, manifest)
    todo = [(split, index) for split in SPLITS
            for index in range(arguments[split])
            if not _part_path(out, split, index).exists()]
    work = partial(_draw_one, draw, out)
    label = f'{arguments["kind"]} set, {out}'
    if workers == 1 or len(todo) < 2:
        for item in tqdm(todo, label, unit='image'):
            work(item)
    else:
        # Spawned, not forked: the caller may have threads of torch or OpenCV.
        with ProcessPoolExecutor(
                min(workers, len(todo)), get_context('spawn'),
                _start_worker) as pool:
            chunk = max(1, min(16, len(todo) // (4 * workers)))
            try:
                list(
                    tqdm(
                        pool.map(work, todo, chunksize=chunk),
                        label,
                        len(todo),
                        unit='image'))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finish(
        out, {
            split: [
                json.loads(_part_path(out, split, index).read_text())
                for index in range(arguments[split])
            ]
            for split in SPLITS
        })
    manifest['files'] = _count_files(out)
    write_json(out / MANIFEST, manifest)
    shutil.rmtree(out / '.parts')
    return out


def _start_worker():
    # Ctrl-C reaches the whole group; the parent alone reports it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _draw_one(draw, out, item):
    # The part comes last: it says that the sample's files are whole.
    write_json(_part_path(out, *item), draw(out, *item))


def _part_path(out: Path, split: str, index: int) -> Path:
    return out / '.parts' / f'{sample_name(split, index)}.json'


def _count_files(out: Path) -> int:
    return sum(
        not name.startswith('.') and name != MANIFEST
        for folder, _, names in os.walk(out)
        if '.parts' not in Path(folder).parts for name in names)


def _manifest(out: Path, arguments: dict) -> dict:
    """Read the manifest of a folder; raise if the folder is not this set's."""
    if not out.exists():
        return {}
    if not out.is_dir():
        raise ValueError(f'{out} must be a folder, got a file')
    if not (out / MANIFEST).exists():
        if any(out.iterdir()):
            raise ValueError(
                f'{out} is not empty and has no {MANIFEST}: name a new or an '
                'empty folder')
        return {}
    try:
        manifest = json.loads((out / MANIFEST).read_text())
        there = manifest['arguments']
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'{out / MANIFEST} is not the manifest of a generated'
                         ' set: delete the folder or name another') from None
    differences = [
        f'{key} {there.get(key)!r} there, {arguments.get(key)!r} wanted'
        for key in sorted({*there, *arguments})
        if there.get(key) != arguments.get(key)
    ]
    if differences:
        raise ValueError(f'{out} holds another set ({"; ".join(differences)}):'
                         ' delete it or name another folder')
    return manifest
