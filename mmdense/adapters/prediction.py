"""Functions that the ``prediction`` modules of the hosts share."""
import copy
import functools
import itertools
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from torch import nn

__all__ = ['check_pipeline', 'prepare', 'run', 'run_lengths']

LOADERS = ('LoadImage', 'LoadImageFromFile')
# By host, what takes an array in their place.
FOR_ARRAYS = dict(
    mmpose='LoadImage',
    mmseg='LoadImageFromNDArray',
    mmdet='LoadImageFromNDArray')


def check_pipeline(config: Config) -> None:
    """Raise unless the test data set of a config has a pipeline.

    Raises:
        ValueError: If it has none. The hosts prepare images with it.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    if 'pipeline' not in dataset:
        raise ValueError('test_dataloader must have a dataset with a '
                         'pipeline, which prepares the images, got none')


def prepare(config: Config, images: Sequence[str | np.ndarray],
            about: Iterable[dict] = itertools.repeat({})) -> list[dict]:
    """Prepare images by the test pipeline of a config.

    Args:
        config (Config): Config of a network.
        images (Sequence[str | np.ndarray]): Files, which the pipeline's
            loader reads; or arrays (H, W, 3), uint8, BGR, in place of what it
            reads. If the loader reads grey images, arrays are made grey.
        about (Iterable[dict]): What else the pipeline needs to know of each
            image.

    Returns:
        list[dict]: ``inputs`` and ``data_samples`` of each image.

    Raises:
        ValueError: If an image is an array and the pipeline has no loader of
            one image file.
    """
    pipeline = functools.cache(functools.partial(_pipeline, config))
    prepared = []
    with DefaultScope.overwrite_default_scope(config.default_scope):
        for image, more in zip(images, about, strict=False):
            is_array = isinstance(image, np.ndarray)
            # A step may write into an array.
            given = dict(img=image.copy()) if is_array else dict(
                img_path=image)
            prepared.append(pipeline(is_array)({**more, **given}))
    return prepared


def _pipeline(config: Config, for_arrays: bool) -> Compose:
    """Build the test pipeline of a config, for files or for arrays."""
    steps = [
        step for step in copy.deepcopy(
            config.test_dataloader.dataset.pipeline)
        if _kind(step) != 'LoadAnnotations'
    ]
    if for_arrays:
        k, loader = next(((k, step) for k, step in enumerate(steps)
                          if _kind(step) in LOADERS), (None, None))
        if loader is None:
            raise ValueError(
                'the test pipeline must have LoadImage or LoadImageFromFile '
                f'to take an array, got {", ".join(map(_kind, steps))}')
        scope = config.default_scope
        loader['type'] = f'{scope}.{FOR_ARRAYS[scope]}'
        if loader.get('color_type', 'color').startswith('grayscale'):
            steps.insert(k, _make_grey)
    return Compose(steps)


def _make_grey(results: dict) -> dict:
    """Make the array (H, W, 3), BGR, at ``img`` one of (H, W)."""
    results['img'] = cv2.cvtColor(results['img'], cv2.COLOR_BGR2GRAY)
    return results


def _kind(step: dict) -> str:
    """Return the name of a step's type, without its scope."""
    kind = step['type']
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[2]


def run(model: nn.Module, prepared: Sequence[dict]) -> list[BaseDataElement]:
    """Predict prepared images, consecutive ones of equal size in one batch.

    So no image is padded for the sake of another one, and each prediction is
    that of the image alone.

    Args:
        model (nn.Module): Network of a host.
        prepared (Sequence[dict]): Results of :func:`prepare`.

    Returns:
        list[BaseDataElement]: The host's data samples, one an image.
    """
    samples = []
    with DefaultScope.overwrite_default_scope(
            model.cfg.default_scope), torch.no_grad():
        for _, batch in itertools.groupby(
                prepared, key=lambda one: one['inputs'].shape):
            samples += model.test_step(pseudo_collate(list(batch)))
    return samples


def run_lengths(mask: np.ndarray) -> dict:
    """Return a mask (H, W) as COCO's compressed run lengths, for JSON."""
    from pycocotools.mask import encode
    coded = encode(np.asfortranarray(mask, np.uint8))
    return dict(size=coded['size'], counts=coded['counts'].decode())
