"""How mmpose's top-down networks are asked about an image."""
import numpy as np
from mmengine.config import Config
from mmpose.apis import inference_topdown
from mmpose.structures import PoseDataSample, merge_data_samples
from torch import nn

from mmdense.adapters.prediction import check_pipeline

__all__ = ['check', 'drawing', 'instances', 'names', 'predict']


def check(config: Config) -> None:
    """Its test data set says how images are prepared, and for whom.

    Raises:
        ValueError: If it does not, or the network goes not by the person.
    """
    check_pipeline(config)
    mode = config.test_dataloader.dataset.get('data_mode', 'topdown')
    if mode != 'topdown':
        raise ValueError(f"data_mode must be 'topdown', got {mode!r}")


def predict(model: nn.Module, image: str | np.ndarray,
            boxes: np.ndarray | None) -> PoseDataSample:
    """One person a box; without boxes one that fills the image."""
    if boxes is not None and not len(boxes):
        return PoseDataSample()
    return merge_data_samples(inference_topdown(model, image, boxes))


def instances(sample: PoseDataSample, names: list[str]) -> list[dict]:
    """Box (x1, y1, x2, y2), and by keypoint (x, y, score), in pixels."""
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
    """Of the keypoints, in the network's order."""
    return list(meta['keypoint_id2name'].values())


def drawing(threshold: float) -> dict:
    """Keypoints with at least this score."""
    return dict(kpt_thr=threshold, draw_bbox=True)
