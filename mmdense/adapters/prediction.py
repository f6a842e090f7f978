"""Functions that the ``prediction`` modules of the hosts share."""
import copy
import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from torch import nn

__all__ = ['check_pipeline', 'prepare', 'run', 'run_lengths']

# mmpose's takes arrays as well; those of mmseg and mmdet have a sister that
# does.
LOADERS = dict(
    LoadImage='LoadImage', LoadImageFromFile='LoadImageFromNDArray')


def check_pipeline(config: Config) -> None:
    """Raise unless the test data set of a config has a pipeline.

    Raises:
        ValueError: If it has none. The hosts prepare images with it.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    if 'pipeline' not in dataset:
        raise ValueError('test_dataloader must have a dataset with a '
                         'pipeline, which prepares the images, got none')


def prepare(config: Config, image: str | np.ndarray, **about) -> dict:
    """Prepare an image by the test pipeline of a config.

    Args:
        config (Config): Config of a network.
        image (str | np.ndarray): A file, which the pipeline's loader reads;
            or an array (H, W, 3), uint8, BGR, in place of what it reads. If
            the loader reads grey images, the array is made grey.
        **about: What else the pipeline needs to know.

    Returns:
        dict: ``inputs`` and ``data_samples``, of one image.

    Raises:
        ValueError: If the image is an array and the pipeline has no loader
            of one image file.
    """
    steps = [
        step for step in copy.deepcopy(
            config.test_dataloader.dataset.pipeline)
        if _kind(step) != 'LoadAnnotations'
    ]
    if isinstance(image, np.ndarray):
        loader = next((s for s in steps if _kind(s) in LOADERS), None)
        if loader is None:
            raise ValueError(
                'the test pipeline must have LoadImage or LoadImageFromFile '
                f'to take an array, got {[s["type"] for s in steps]}')
        loader['type'] = loader['type'].replace(
            _kind(loader), LOADERS[_kind(loader)])
        if loader.get('color_type', 'color').startswith('grayscale'):
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        about['img'] = image.copy()  # a step may write into it
    else:
        about['img_path'] = image
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return Compose(steps)(about)


def _kind(step: dict) -> str:
    """Return the type of a step, without its scope."""
    return step['type'].rpartition('.')[2]


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
