"""Prediction with networks of mmsegmentation."""
import numpy as np
from mmseg.apis import inference_model
from mmseg.structures import SegDataSample
from torch import nn

from mmdense.adapters.prediction import check_pipeline as check
from mmdense.adapters.prediction import run_lengths

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def predict(model: nn.Module, image: str | np.ndarray,
            boxes: np.ndarray | None) -> SegDataSample:
    """Predict a class for each pixel of an image; boxes are not used."""
    # inference_model goes by the variable, a test by the data set's pipeline.
    model.cfg.test_pipeline = model.cfg.test_dataloader.dataset.pipeline
    return inference_model(model, image)


def instances(sample: SegDataSample, names: list[str]) -> list[dict]:
    """Return the pixels of each class found, also as COCO run lengths."""
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    return [
        dict(
            name=names[label],
            pixels=int((labels == label).sum()),
            segmentation=run_lengths(labels == label))
        for label in np.unique(labels)
    ]


def names(meta: dict) -> list[str]:
    """Return the names of the classes, in the network's order."""
    return list(meta['classes'])


def drawing(threshold: float) -> dict:
    """Draw every pixel: classes have no score."""
    return {}
