"""Prediction with top-down networks of mmpose."""
from collections.abc import Sequence
from itertools import islice

import numpy as np
from mmengine.config import Config
from mmpose.structures import PoseDataSample, merge_data_samples
from torch import nn

from mmdense.adapters.prediction import check_pipeline, prepare, run

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def check(config: Config) -> None:
    """Raise unless a config is top-down and has a test pipeline.

    Raises:
        ValueError: If it has no pipeline, or is not top-down.
    """
    check_pipeline(config)
    mode = config.test_dataloader.dataset.get('data_mode', 'topdown')
    if mode != 'topdown':
        raise ValueError(f"data_mode must be 'topdown', got {mode!r}")


def predict(model: nn.Module, images: Sequence[str | np.ndarray],
            boxes: Sequence[np.ndarray]) -> list[PoseDataSample]:
    """Predict a person for each box (x1, y1, x2, y2) of each image."""
    score = np.ones(1, np.float32)
    # A sample is a person.
    sources = [
        image for image, people in zip(images, boxes, strict=True)
        for _ in people
    ]
    about = [
        dict(model.dataset_meta, bbox=box[None], bbox_score=score)
        for people in boxes for box in people
    ]
    samples = iter(run(model, prepare(model.cfg, sources, about)))
    return [
        merge_data_samples(list(islice(samples, len(people))))
        if len(people) else PoseDataSample() for people in boxes
    ]


def instances(sample: PoseDataSample, names: list[str]) -> list[dict]:
    """Return box (x1, y1, x2, y2) and keypoints (x, y, score), in pixels."""
    if 'pred_instances' not in sample:
        return []
    found = sample.pred_instances
    return [
        dict(
            bbox=box.tolist(),
            keypoints={
                name: [*point.tolist(), float(score)]
                for name, point, score in zip(
                    names, points, scores, strict=True)
            })
        for box, points, scores in zip(
            found.bboxes, found.keypoints, found.keypoint_scores, strict=True)
    ]


def names(meta: dict) -> list[str]:
    """Return the names of the keypoints, in the network's order."""
    return list(meta['keypoint_id2name'].values())


def drawing(threshold: float) -> dict:
    """Draw keypoints with at least this score."""
    return dict(kpt_thr=threshold, draw_bbox=True)
