"""Prediction with networks of mmsegmentation."""
from collections.abc import Sequence

import numpy as np
from mmseg.structures import SegDataSample
from torch import nn

from mmdense.adapters.prediction import check_pipeline as check
from mmdense.adapters.prediction import prepare, run, run_lengths

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def predict(model: nn.Module, images: Sequence[str | np.ndarray],
            boxes: Sequence[np.ndarray]) -> list[SegDataSample]:
    """Predict a class for each pixel of each image; boxes are not used."""
    return run(model, prepare(model.cfg, images))


def instances(sample: SegDataSample, names: list[str]) -> list[dict]:
    """Return the pixels of each class found, also as COCO run lengths."""
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    return [
        dict(
            name=names[label],
            pixels=int(pixels),
            segmentation=run_lengths(labels == label))
        for label, pixels in zip(
            *np.unique(labels, return_counts=True), strict=True)
    ]


def names(meta: dict) -> list[str]:
    """Return the names of the classes, in the network's order."""
    return list(meta['classes'])


def drawing(threshold: float) -> dict:
    """Draw every pixel: classes have no score."""
    return {}
