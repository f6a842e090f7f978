"""Prediction with networks of mmdetection."""
from collections.abc import Sequence

import numpy as np
from mmdet.structures import DetDataSample
from torch import nn

from mmdense.adapters.prediction import check_pipeline as check
from mmdense.adapters.prediction import prepare, run, run_lengths

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def predict(model: nn.Module, images: Sequence[str | np.ndarray],
            boxes: Sequence[np.ndarray]) -> list[DetDataSample]:
    """Predict the objects of each image; boxes are not used."""
    # The pipelines of mmdet copy the number of an image into its sample.
    samples = run(
        model, prepare(model.cfg, images, [dict(img_id=0)] * len(images)))
    for sample in samples:
        # CenterNet's head may give a box a negative size, and the visualizer
        # stops at such a box.
        x1, y1, x2, y2 = sample.pred_instances.bboxes.unbind(1)
        sample.pred_instances = sample.pred_instances[(x1 < x2) & (y1 < y2)]
    return samples


def instances(sample: DetDataSample, names: list[str]) -> list[dict]:
    """Return class, score and box (x1, y1, x2, y2) in pixels, best first.

    If the network predicts masks, each comes with its COCO run lengths.
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
    """Return the names of the classes, in the network's order."""
    return list(meta['classes'])


def drawing(threshold: float) -> dict:
    """Draw boxes with at least this score."""
    return dict(pred_score_thr=threshold)
