"""How mmsegmentation's networks are asked about an image."""
import numpy as np
from mmseg.apis import inference_model
from mmseg.structures import SegDataSample
from torch import nn

from mmdense.networks.prediction import check_pipeline as check
from mmdense.networks.prediction import run_lengths

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def predict(model: nn.Module, image: str | np.ndarray,
            boxes: np.ndarray | None) -> SegDataSample:
    """A class for each pixel of the image; boxes mean nothing here."""
    # inference_model goes by the variable, a test by the data set's pipeline.
    model.cfg.test_pipeline = model.cfg.test_dataloader.dataset.pipeline
    return inference_model(model, image)


def instances(sample: SegDataSample, names: list[str]) -> list[dict]:
    """Of each class that is there its pixels, also as COCO run lengths."""
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    return [
        dict(
            name=names[label],
            pixels=int((labels == label).sum()),
            segmentation=run_lengths(labels == label))
        for label in np.unique(labels)
    ]


def names(meta: dict) -> list[str]:
    """Of the classes, in the network's order."""
    return list(meta['classes'])


def drawing(threshold: float) -> dict:
    """Every pixel is drawn: classes have no score here."""
    return {}
