"""Synthetic electron-microscopy slices: cells parted by thin membranes.

The folder of a set, which for ``image`` and ``label`` is that of ISBI 2012::

    {train,val}/image/0.png ...      grey
    {train,val}/label/0.png ...      0 membrane, 255 cell
    {train,val}/index/0.png ...      0 membrane, 1 cell, as mmseg reads labels
    {train,val}/instance/0.png ...   16 bits: 0 membrane, then one id a cell
"""
import os
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from mmdense.datasets.synthetic.painting import smooth_noise
from mmdense.datasets.writing import (
    check_choice,
    check_image_size,
    make_set,
    sample_rng,
    write_png,
)

# gap: how far membranes fade in places; bodies: mitochondria and vesicles per
# cell; noise: grey levels.
DIFFICULTIES = dict(
    easy=dict(gap=0.1, bodies=0.3, noise=8.0),
    normal=dict(gap=0.35, bodies=1.0, noise=16.0),
    hard=dict(gap=0.6, bodies=2.0, noise=26.0))
# Mean area of a cell in pixels, whatever the size of the slice.
CELL_AREA = 1100


def make_membrane_set(out: str | os.PathLike,
                      train: int = 100,
                      val: int = 20,
                      size: tuple[int, int] = (256, 256),
                      seed: int = 0,
                      difficulty: str = 'normal',
                      workers: int | None = None) -> Path:
    """Write a set of membrane slices, or find it already written.

    Args:
        out (str | os.PathLike): Folder of the set.
        train (int): Number of training slices.
        val (int): Number of validation slices.
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
    check_image_size(size)
    if size[0] * size[1] / CELL_AREA > 20000:
        raise ValueError(f'size must be at most {20000 * CELL_AREA} pixels, '
                         f'so that 16-bit ids number all cells, got {size}')
    return make_set(out, 'membranes', _draw, DIFFICULTIES, train, val, size,
                    seed, difficulty, workers)


def _draw(size, seed, difficulty, out, split, index):
    rng = sample_rng(seed, split, index)
    image, cells = membrane_slice(rng, size, difficulty)
    inside = (cells > 0).astype(np.uint8)
    for folder, picture in dict(image=image, label=255 * inside, index=inside,
                                instance=cells).items():
        write_png(out / split / folder / f'{index}.png', picture)
    return {}


def membrane_slice(rng: np.random.Generator, size: tuple[int, int],
                   difficulty: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw one slice.

    Args:
        rng (np.random.Generator): Source of every choice.
        size (tuple[int, int]): Height and width in pixels.
        difficulty (str): A key of ``DIFFICULTIES``.

    Returns:
        tuple[np.ndarray, np.ndarray]: The grey image, uint8 (H, W), and the
        cells, uint16 (H, W): 0 on a membrane, else an id from 1. Two cells
        never touch, not even at a corner.

    Raises:
        TypeError, ValueError: If an argument is none of these.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f'rng must be a generator, got {type(rng).__name__}')
    check_image_size(size)
    check_choice('difficulty', difficulty, DIFFICULTIES)
    level = DIFFICULTIES[difficulty]
    owner = _owners(rng, size)
    # Distance in pixels to the seam between two owners.
    seam = np.zeros(size, bool)
    seam[1:] |= owner[1:] != owner[:-1]
    seam[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    wall = cv2.distanceTransform((~seam).astype(np.uint8), cv2.DIST_L2, 5)
    thickness = rng.uniform(1.2, 1.9) + 0.4 * smooth_noise(rng, size, 8)
    inside = (wall > np.maximum(thickness, 1.0)).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(
        inside, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= 12
    large[0] = False
    ids = np.cumsum(large) * large
    cells = ids[pieces].astype(np.uint16)
    image = _paint(rng, size, level, wall, thickness, cells, owner)
    return image, cells


def _owners(rng, size):
    """Return the cell of every pixel, (H, W).

    A Voronoi diagram in a plane bent by smooth noise, so that walls are
    curved. Centres lie denser in some places than in others, so that small
    cells crowd between large ones.
    """
    height, width = size
    count = max(8, round((height + 60) * (width + 60) / CELL_AREA))
    crowd = np.exp(1.2 * smooth_noise(rng, (64, 64), 6)).ravel()
    square = rng.choice(crowd.size, count, p=crowd / crowd.sum())
    centres = (np.stack([square // 64, square % 64], 1) +
               rng.uniform(0, 1, (count, 2))) / 64
    centres = centres * [height + 60, width + 60] - 30
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bent_y, bent_x = y.copy(), x.copy()
    for cells, strength in ((4, 9), (12, 3.5), (30, 1.2)):
        cells = cells * max(size) / 256
        bent_y += strength * smooth_noise(rng, size, cells)
        bent_x += strength * smooth_noise(rng, size, cells)
    points = np.stack([bent_y, bent_x], -1).reshape(-1, 2)
    return cKDTree(centres).query(points)[1].reshape(size)


def _paint(rng, size, level, wall, thickness, cells, owner):
    tones = rng.normal(0, 14, owner.max() + 1).astype(np.float32)
    image = rng.uniform(150, 185) + tones[owner]
    image += 8 * smooth_noise(rng, size, 6) + 5 * smooth_noise(rng, size, 40)
    _bodies(rng, image, level, cells)
    # A membrane is darkest in its middle and fades where it is cut askew.
    fade = 1 - level['gap'] * np.clip(smooth_noise(rng, size, 10), 0, 1)
    dark = np.exp(-(wall / (0.9 * np.maximum(thickness, 1)))**2) * fade
    image += dark * (rng.uniform(25, 60) - image)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 1.0))
    grain = rng.standard_normal(size, dtype=np.float32)
    soft = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32),
                            (0, 0), 1.2)
    image += level['noise'] * (0.6 * grain + 1.2 * soft)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _bodies(rng, image, level, cells):
    """Paint mitochondria (large, grey, rimmed) and vesicles (small, dark)."""
    depth = cv2.distanceTransform((cells > 0).astype(np.uint8), cv2.DIST_L2, 3)
    count = rng.poisson(level['bodies'] * max(1, cells.max()) / 2)
    rows, columns = np.nonzero(depth > 4)
    if not len(rows):
        return
    y, x = np.mgrid[:image.shape[0], :image.shape[1]].astype(np.float32)
    for k in rng.integers(len(rows), size=count):
        row, column = rows[k], columns[k]
        reach = min(depth[row, column] * 0.8, 14)
        if rng.random() < 0.5:
            reach = rng.uniform(1.2, 2.5)
        box = (slice(max(row - 16, 0), row + 17),
               slice(max(column - 16, 0), column + 17))
        angle, squeeze = rng.uniform(0, np.pi), rng.uniform(1, 1.8)
        dy, dx = y[box] - row, x[box] - column
        u = dx * np.cos(angle) + dy * np.sin(angle)
        v = (dy * np.cos(angle) - dx * np.sin(angle)) * squeeze
        away = np.hypot(u, v) - reach
        alpha = np.clip(0.5 - away, 0, 1) * rng.uniform(0.4, 0.9)
        tone = np.where(away > -1.5, 70, rng.uniform(85, 130)).astype(
            np.float32)
        image[box] += alpha * (tone - image[box])
