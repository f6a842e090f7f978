"""Predictions for the test set of MPII, whose joints are not public."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from scipy.io import savemat

from mmdense.registry import METRICS


@METRICS.register_module()
class MpiiPredictions(BaseMetric):
    """Write the predicted joints of every person to a MATLAB file.

    ``preds`` in it is (N, 16, 2), float64: x and y in pixels of the image,
    counted from 1 as MPII counts them, of the persons in the order of the
    annotation file and the joints in mmpose's. Nothing is scored.

    Args:
        out (str): The file, ending in ``.mat``.
        collect_device (str): As in mmengine.
        prefix (str, optional): As in mmengine.

    Raises:
        TypeError: If ``out`` is not a path.
        ValueError: If it does not end in ``.mat``.
    """

    def __init__(self,
                 out: str,
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not isinstance(out, str | Path):
            raise TypeError('MpiiPredictions: out must be a path, got '
                            f'{type(out).__name__}')
        self.out = Path(out)
        if self.out.suffix != '.mat':
            raise ValueError(
                f'MpiiPredictions: out must end in .mat, got {str(out)!r}')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep one batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Hold ``id``, the person's place in
                the annotation file, and ``pred_instances.keypoints``
                (1, 16, 2).
        """
        for sample in data_samples:
            self.results.append(
                (sample['id'], sample['pred_instances']['keypoints'][0]))

    def compute_metrics(self, results: list) -> dict:
        """Write the file; return no figures."""
        joints = np.stack([joints for _, joints in sorted(
            results, key=lambda result: result[0])])
        self.out.parent.mkdir(parents=True, exist_ok=True)
        savemat(self.out, dict(preds=joints.astype(float) + 1))
        return {}
