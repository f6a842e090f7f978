"""How mmdetection's networks are asked about an image."""
import numpy as np
from mmdet.apis import inference_detector
from mmdet.structures import DetDataSample
from torch import nn

from mmdense.networks.prediction import check_pipeline as check
from mmdense.networks.prediction import run_lengths

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def predict(model: nn.Module, image: str | np.ndarray,
            boxes: np.ndarray | None) -> DetDataSample:
    """What the image holds; boxes mean nothing here."""
    sample = inference_detector(model, image)
    # CenterNet's head may give a box a negative size, and the visualizer
    # stops at such a box.
    x1, y1, x2, y2 = sample.pred_instances.bboxes.unbind(1)
    sample.pred_instances = sample.pred_instances[(x1 < x2) & (y1 < y2)]
    return sample


def instances(sample: DetDataSample, names: list[str]) -> list[dict]:
    """Class, score and box (x1, y1, x2, y2) in pixels, best first.

    With a mask as COCO run lengths where the network gives masks.
    """
    found = sample.pred_instances.cpu().numpy()
    rows = [
        dict(name=names[label], score=float(score), bbox=box.tolist())
        for label, score, box in zip(
            found.labels, found.scores, found.bboxes, strict=True)
    ]
    for row, mask in zip(rows, found.get('masks', ()), strict=False):
        row['segmentation'] = run_lengths(mask)
    return sorted(rows, key=lambda row: -row['score'])


def names(meta: dict) -> list[str]:
    """Of the classes, in the network's order."""
    return list(meta['classes'])


def drawing(threshold: float) -> dict:
    """Boxes with at least this score."""
    return dict(pred_score_thr=threshold)
