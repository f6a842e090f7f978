"""Synthetic microscopy of cells that touch, as the Cell Tracking Challenge's.

The folder of a set::

    01/t000.tif ...                grey, frames that train
    01_ST/SEG/man_seg000.tif ...   16 bits: 0 background, then one id a cell
    02, 02_ST/SEG                  frames that validate

Frames are drawn one by one: nothing moves from one to the next.
"""
import os
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from mmdense.datasets.synthetic.painting import smooth_noise
from mmdense.datasets.writing import make_set, sample_rng, write_bytes

SEQUENCES = dict(train='01', val='02')
# Grey levels of noise, against 40 of a cell's relief.
DIFFICULTIES = dict(easy=4.0, normal=9.0, hard=18.0)
# Pixels of background and cell for each cell, whatever the size.
AREA = 1300


def make_cell_set(out: str | os.PathLike,
                  train: int = 20,
                  val: int = 5,
                  size: tuple[int, int] = (256, 256),
                  seed: int = 0,
                  difficulty: str = 'normal',
                  workers: int | None = None) -> Path:
    """Write a set of frames, or find it already written.

    Args:
        out (str | os.PathLike): Folder of the set.
        train (int): Number of frames of sequence 01.
        val (int): Number of frames of sequence 02.
        size (tuple[int, int]): Height and width in pixels.
        seed (int): The same seed gives the same bytes.
        difficulty (str): 'easy', 'normal' or 'hard'.
        workers (int, optional): Processes; one a core if None.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If an argument is out of range, or the folder holds
            anything other than this set.
    """
    return make_set(out, 'cells', _draw, DIFFICULTIES, train, val, size, seed,
                    difficulty, workers)


def _draw(size, seed, difficulty, out, split, index):
    image, cells = cell_frame(
        sample_rng(seed, split, index), size, difficulty)
    sequence = SEQUENCES[split]
    for path, picture in ((f'{sequence}/t{index:03d}.tif', image),
                          (f'{sequence}_ST/SEG/man_seg{index:03d}.tif',
                           cells)):
        write_bytes(out / path, cv2.imencode('.tif', picture)[1])
    return {}


def cell_frame(rng: np.random.Generator, size: tuple[int, int],
               difficulty: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw one frame.

    Args:
        rng (np.random.Generator): Source of every choice.
        size (tuple[int, int]): Height and width in pixels.
        difficulty (str): A key of ``DIFFICULTIES``.

    Returns:
        tuple[np.ndarray, np.ndarray]: The grey image, uint8 (H, W), and the
        cells, uint16 (H, W): 0 outside, else an id from 1. Many touch.
    """
    cells = _cells(rng, size)
    # A relief, lit from the upper left as in differential interference
    # contrast: every cell rises from its own border, at seams too.
    height = np.zeros(size, np.float32)
    for number in range(1, cells.max() + 1):
        own = np.pad(cells == number, 1).astype(np.uint8)
        depth = cv2.distanceTransform(own, cv2.DIST_L2, 5)[1:-1, 1:-1]
        height += np.sqrt(np.minimum(depth, 9))
    height = cv2.GaussianBlur(height, (0, 0), 0.8)
    relief = ndimage.sobel(height, 0) + ndimage.sobel(height, 1)
    image = 120 + 8 * smooth_noise(rng, size, 3)
    image += 40 * relief / max(1e-3, np.abs(relief).max())
    image += (cells > 0) * (5 * smooth_noise(rng, size, 40) - 6)
    image += DIFFICULTIES[difficulty] * rng.standard_normal(
        size, dtype=np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), cells


def _cells(rng, size):
    centres = []
    for _ in range(max(4, round(size[0] * size[1] / AREA))):
        if centres and rng.random() < 0.7:
            # Beside another cell, so that the two touch.
            angle = rng.uniform(0, 2 * np.pi)
            centre = centres[rng.integers(len(centres))] + 22 * np.array(
                [np.sin(angle), np.cos(angle)])
        else:
            centre = rng.uniform(0, size)
        if all(np.hypot(*(centre - other)) > 17 for other in centres):
            centres.append(centre)
    y, x = np.mgrid[:size[0], :size[1]].astype(np.float32)
    bend = 0.12 * smooth_noise(rng, size, 14)
    nearest = np.full(size, 1, np.float32)
    owner = np.zeros(size, int)
    for number, (row, column) in enumerate(centres, 1):
        angle, length, width = rng.uniform((0, 11, 11), (np.pi, 16, 14))
        dy, dx = y - row, x - column
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        away = np.hypot(along / length, across / width) + bend
        owner[away < nearest] = number
        nearest = np.minimum(nearest, away)
    cells = np.zeros(size, np.uint16)
    for number in range(1, len(centres) + 1):
        # One piece of each, if it is not a sliver at the edge.
        pieces, _ = ndimage.label(owner == number)
        sizes = np.bincount(pieces.ravel())[1:]
        if len(sizes) and sizes.max() >= 60:
            cells[pieces == 1 + sizes.argmax()] = cells.max() + 1
    return cells
