"""The four scores of FCN as an mmseg metric."""
import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from prettytable import PrettyTable

from mmdense.arguments import check_at_least
from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)
from mmdense.registry import METRICS

SCORES = ('pixel_accuracy', 'mean_accuracy', 'mean_iu',
          'frequency_weighted_iu')


@METRICS.register_module()
class SegmentationScores(BaseMetric):
    """Pixel accuracy, mean accuracy, mean IU, frequency-weighted IU in %.

    From one confusion matrix of all images, see
    :func:`~mmdense.metrics.segmentation_scores.segmentation_scores`, also
    for classes that are absent. Where mmseg's ``IoUMetric`` passes over a
    label outside the classes, this refuses it.

    Args:
        ignore_index (int): Label of pixels that do not count.
        collect_device (str): As in mmengine.
        prefix (str, optional): As in mmengine.

    Raises:
        TypeError: If ``ignore_index`` is no integer.
        ValueError: In ``process``, naming the image, if a label is neither a
            class nor ``ignore_index``.
    """

    def __init__(self,
                 ignore_index: int = 255,
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        check_at_least(-math.inf, ignore_index=ignore_index)
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count one batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Hold ``gt_sem_seg`` and
                ``pred_sem_seg``, data (1, H, W) each.
        """
        classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            truth, prediction = (
                np.asarray(sample[key]['data'].cpu())
                for key in ('gt_sem_seg', 'pred_sem_seg'))
            try:
                self.results.append(
                    confusion_matrix(truth, prediction, classes,
                                     self.ignore_index))
            except ValueError as error:
                raise ValueError(
                    f'{sample.get("seg_map_path", "a sample")}: {error}'
                ) from error

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """The scores of all images, in per cent; logs those of each class."""
        scores = segmentation_scores(sum(results))
        table = PrettyTable()
        table.add_column('class', self.dataset_meta['classes'])
        for name in ('iu', 'accuracy'):
            table.add_column(name, np.round(100 * scores[name], 2))
        print_log(f'by class:\n{table}', MMLogger.get_current_instance())
        return {name: round(100 * float(scores[name]), 2) for name in SCORES}
