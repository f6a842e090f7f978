"""Synthetic rooms with depth, in the layout of NYUDv2's recipes.

The folder of a set::

    images/00000.jpg ...    colour
    depth/00000.png ...     16 bits, millimetres
    labels/00000.png ...    0 void, 1 wall, 2 floor, 3 box
    train.txt, test.txt     names

Every surface has any colour: where it lies says more than how it looks.
"""
import os
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mmdense.datasets.synthetic.painting import smooth_noise
from mmdense.datasets.writing import (
    make_set,
    sample_rng,
    write_bytes,
    write_lines,
)

# Levels of noise of 255.
DIFFICULTIES = dict(easy=6.0, normal=15.0, hard=40.0)
# Focal length as a share of the width: that of a Kinect, 519 of 640.
FOCAL = 519 / 640


def make_room_set(out: str | os.PathLike,
                  train: int = 80,
                  val: int = 20,
                  size: tuple[int, int] = (96, 128),
                  seed: int = 0,
                  difficulty: str = 'normal',
                  workers: int | None = None) -> Path:
    """Write a set of rooms, or find it already written.

    Args:
        out (str | os.PathLike): Folder of the set.
        train (int): Number of images of train.txt.
        val (int): Number of images of test.txt.
        size (tuple[int, int]): Height and width in pixels.
        seed (int): The same seed gives the same bytes.
        difficulty (str): 'easy', 'normal' or 'hard'.
        workers (int, optional): Processes; one a core if None.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If an argument is out of range or the folder holds
            anything but this set.
    """
    return make_set(out, 'rooms', partial(_draw, train), DIFFICULTIES, train,
                    val, size, seed, difficulty, workers, finish=_describe)


def _draw(train, size, seed, difficulty, out, split, index):
    image, depth, label = room(
        sample_rng(seed, split, index), size, difficulty)
    name = f'{index + (split == "val") * train:05d}'
    for path, picture in ((f'images/{name}.jpg', image),
                          (f'depth/{name}.png', depth),
                          (f'labels/{name}.png', label)):
        write_bytes(out / path, cv2.imencode(path[-4:], picture)[1])
    return dict(name=name)


def _describe(out, parts):
    for split, file in (('train', 'train.txt'), ('val', 'test.txt')):
        write_lines(out / file, [part['name'] for part in parts[split]])


def room(rng: np.random.Generator, size: tuple[int, int],
         difficulty: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One room, seen by a camera that looks a little down.

    Args:
        rng (np.random.Generator): Source of every choice.
        size (tuple[int, int]): Height and width in pixels.
        difficulty (str): A key of ``DIFFICULTIES``.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: The image, uint8 (H, W, 3);
        depth in millimetres, uint16 (H, W); the classes, uint8 (H, W).
    """
    pitch = np.radians(rng.uniform(5, 25))
    focal = FOCAL * size[1]
    v, u = np.indices(size, np.float64)
    x, y = (u - size[1] / 2) / focal, (v - size[0] / 2) / focal
    # Rays with z = 1 in the camera's coordinates, turned upright.
    rays = np.stack([x, y * np.cos(pitch) + np.sin(pitch),
                     np.cos(pitch) - y * np.sin(pitch)], 2)
    eye, back = rng.uniform((1.2, 3), (1.8, 5))
    boxes = []
    for _ in range(rng.integers(2, 6)):
        width, height, deep = rng.uniform(0.3, 1, 3)
        left, near = rng.uniform((-1.8, 1.2), (1.2, back - 0.4))
        boxes.append([(left, left + width), (eye - height, eye),
                      (near, min(back, near + deep))])
    depth = np.full(size, np.inf)
    surface = np.zeros(size, int)
    everything = [[(-50, 50), (-50, 50), (back, 60)],
                  [(-50, 50), (eye, 60), (0, 60)], *boxes]
    for number, box in enumerate(everything, 1):
        found = _entry(rays, box)
        closer = found < depth
        depth[closer], surface[closer] = found[closer], number
    colours = rng.uniform(40, 215, (len(everything) + 1, 3))
    image = colours[surface] + 12 * smooth_noise(rng, size, 5)[..., None]
    image += DIFFICULTIES[difficulty] * rng.standard_normal((*size, 3))
    millimetres = np.rint(1000 * np.minimum(depth, 60)).astype(np.uint16)
    return (np.clip(np.rint(image), 0, 255).astype(np.uint8), millimetres,
            np.minimum(surface, 3).astype(np.uint8))


def _entry(rays, box):
    """Where rays from the origin enter a box, infinity where they do not."""
    with np.errstate(divide='ignore', invalid='ignore'):
        ends = [np.sort(np.stack([side[0] / rays[..., k],
                                  side[1] / rays[..., k]]), 0)
                for k, side in enumerate(box)]
    first = np.max([near for near, _ in ends], 0)
    last = np.min([far for _, far in ends], 0)
    return np.where((first <= last) & (first > 0), first, np.inf)
