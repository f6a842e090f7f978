"""Synthetic semantic segmentation in the layout of PASCAL VOC.

The folder of a set::

    VOC2012/JPEGImages/00000001.jpg ...
    VOC2012/SegmentationClass/00000001.png ...    palette, 0 background
    VOC2012/ImageSets/Segmentation/{train,val}.txt

A label is 1 + the position in ``classes``; 255 marks the rim of a thing,
which no metric counts.
"""
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mmdense.datasets.synthetic.objects import (
    DIFFICULTIES,
    VOC_CLASSES,
    check_classes,
    object_scene,
)
from mmdense.datasets.writing import (
    make_set,
    sample_name,
    sample_rng,
    write_jpeg,
    write_lines,
    write_png,
)

RIM = 255


def voc_palette() -> np.ndarray:
    """Return VOC's colours of the labels 0 to 255: RGB, uint8 (256, 3).

    The bits of a label, lowest first, are dealt in turn to red, green and
    blue, each filled from its highest bit.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        value = (labels >> bit & 1) << (7 - bit // 3)
        palette[:, bit % 3] |= value.astype(np.uint8)
    return palette


def make_segmentation_set(out: str | os.PathLike,
                          train: int = 1000,
                          val: int = 200,
                          size: tuple[int, int] = (256, 256),
                          seed: int = 0,
                          difficulty: str = 'normal',
                          classes: Sequence[str] = VOC_CLASSES,
                          workers: int | None = None) -> Path:
    """Write a VOC-style segmentation set, or find it already written.

    Args:
        out (str | os.PathLike): Folder of the set.
        train (int): Number of training images.
        val (int): Number of validation images.
        size (tuple[int, int]): Height and width of the images in pixels.
        seed (int): The same seed gives the same bytes.
        difficulty (str): 'easy', 'normal' or 'hard'.
        classes (Sequence[str]): Names out of VOC's twenty classes, in order of
            the label.
        workers (int, optional): Processes; one a core if None.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If an argument is out of range, or the folder holds
            anything other than this set.
    """
    classes = check_classes(classes)
    return make_set(out, 'segmentation', partial(_draw, classes),
                    DIFFICULTIES, train, val, size, seed, difficulty, workers,
                    finish=_describe, classes=classes)


def label_map(size: tuple[int, int], things: list[tuple]) -> np.ndarray:
    """Return the labels of visible masks, uint8 (H, W), with rims of 255."""
    # As thick for the size of the picture as VOC's.
    reach = max(1, round(min(size) / 200))
    kernel = np.ones((2 * reach + 1, ) * 2, np.uint8)
    labels = np.zeros(size, np.uint8)
    owner = np.zeros(size, np.uint8)
    thick = np.ones(size, bool)
    for number, (label, mask) in enumerate(things, 1):
        labels[mask] = label + 1
        owner[mask] = number
        # A spoke or a leg thinner than two rims keeps its label.
        solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
        thick[mask] = solid[mask] > 0
    # The rim is where the neighbourhood holds more than one owner.
    rim = cv2.dilate(owner, kernel) != cv2.erode(owner, kernel)
    labels[rim & thick] = RIM
    return labels


def _draw(classes, size, seed, difficulty, out, split, index):
    rng = sample_rng(seed, split, index)
    image, things = object_scene(rng, size, difficulty, index, classes)
    name = sample_name(split, index)
    write_jpeg(out / f'VOC2012/JPEGImages/{name}.jpg', image)
    write_png(out / f'VOC2012/SegmentationClass/{name}.png',
              label_map(size, things), voc_palette())
    return dict(name=name)


def _describe(out, parts):
    for split, samples in parts.items():
        write_lines(out / f'VOC2012/ImageSets/Segmentation/{split}.txt',
                    [sample['name'] for sample in samples])
