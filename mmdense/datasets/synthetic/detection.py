"""Synthetic object detection as PASCAL VOC xml and as COCO instances.

The folder of a set::

    VOC2007/JPEGImages/00000001.jpg ...
    VOC2007/Annotations/00000001.xml ...
    VOC2007/ImageSets/Main/{train,val}.txt
    annotations/instances_{train,val}.json     the same things, with masks

Boxes enclose what is visible. VOC's count pixels from 1 and include the last
one; COCO's are x, y, width, height from 0. Masks are run lengths. A COCO
category is 1 + the position in ``classes``.
"""
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mmdense.datasets.synthetic.coco import coco_content
from mmdense.datasets.synthetic.objects import (
    DIFFICULTIES,
    VOC_CLASSES,
    check_classes,
    mask_box,
    object_scene,
)
from mmdense.datasets.writing import (
    make_set,
    run_lengths,
    sample_name,
    sample_rng,
    write_bytes,
    write_jpeg,
    write_json,
    write_lines,
)


def make_detection_set(out: str | os.PathLike,
                       train: int = 1000,
                       val: int = 200,
                       size: tuple[int, int] = (256, 320),
                       seed: int = 0,
                       difficulty: str = 'normal',
                       classes: Sequence[str] = VOC_CLASSES,
                       workers: int | None = None) -> Path:
    """Write a detection set, or find it already written.

    Args:
        out (str | os.PathLike): Folder of the set.
        train (int): Number of training images.
        val (int): Number of validation images.
        size (tuple[int, int]): Height and width of the images in pixels.
        seed (int): The same seed gives the same bytes.
        difficulty (str): 'easy', 'normal' or 'hard'.
        classes (Sequence[str]): Names out of VOC's twenty classes.
        workers (int, optional): Processes; one a core if None.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If an argument is out of range, or the folder holds
            anything other than this set.
    """
    classes = check_classes(classes)
    return make_set(out, 'detection', partial(_draw, classes), DIFFICULTIES,
                    train, val, size, seed, difficulty, workers,
                    finish=partial(_describe, classes), classes=classes)


def _draw(classes, size, seed, difficulty, out, split, index):
    rng = sample_rng(seed, split, index)
    image, things = object_scene(rng, size, difficulty, index, classes)
    name = sample_name(split, index)
    boxes = [mask_box(mask) for _, mask in things]
    write_jpeg(out / f'VOC2007/JPEGImages/{name}.jpg', image)
    write_bytes(out / f'VOC2007/Annotations/{name}.xml',
                _xml(name, size, [classes[label] for label, _ in things],
                     boxes))
    instances = [
        dict(
            label=label,
            box=[x1, y1, x2 - x1 + 1, y2 - y1 + 1],
            area=int(mask.sum()),
            mask=run_lengths(mask))
        for (label, mask), (x1, y1, x2, y2) in zip(things, boxes, strict=True)
    ]
    return dict(name=name, size=list(size), instances=instances)


def _xml(name, size, labels, boxes):
    root = ElementTree.Element('annotation')

    def add(parent, tag, text=''):
        child = ElementTree.SubElement(parent, tag)
        child.text = str(text)
        return child

    add(root, 'folder', 'VOC2007')
    add(root, 'filename', f'{name}.jpg')
    shape = add(root, 'size')
    for tag, value in zip(('height', 'width', 'depth'), (*size, 3),
                          strict=True):
        add(shape, tag, value)
    add(root, 'segmented', 0)
    for label, box in zip(labels, boxes, strict=True):
        thing = add(root, 'object')
        add(thing, 'name', label)
        add(thing, 'pose', 'Unspecified')
        add(thing, 'truncated', 0)
        add(thing, 'difficult', 0)
        corners = add(thing, 'bndbox')
        for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'),
                              np.array(box) + 1, strict=True):
            add(corners, tag, value)
    ElementTree.indent(root)
    return ElementTree.tostring(root) + b'\n'


def _describe(classes, out, parts):
    for split, samples in parts.items():
        write_lines(out / f'VOC2007/ImageSets/Main/{split}.txt',
                    [sample['name'] for sample in samples])
        write_json(out / f'annotations/instances_{split}.json',
                   _coco(classes, samples))


def _coco(classes, samples):
    categories = [
        dict(id=number, name=name, supercategory='thing')
        for number, name in enumerate(classes, 1)
    ]
    return coco_content('synthetic things', samples, categories)
