"""The four scores of FCN as an mmseg metric."""
import math

import numpy as np
from mmengine.logging import MMLogger, print_log
from prettytable import PrettyTable

from mmdense.arguments import check_at_least
from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)
from mmdense.mmseg.evaluation import SegMetric
from mmdense.registry import METRICS

SCORES = ('pixel_accuracy', 'mean_accuracy', 'mean_iu',
          'frequency_weighted_iu')


@METRICS.register_module()
class SegmentationScores(SegMetric):
    """Pixel accuracy, mean accuracy, mean IU, frequency-weighted IU in %.

    From one confusion matrix of all images, see
    :func:`~mmdense.metrics.segmentation_scores.segmentation_scores`, also
    for classes that are absent. Where mmseg's ``IoUMetric`` passes over a
    label outside the classes, this refuses it.

    Args:
        ignore_index (int): Label of pixels that do not count.
        **kwargs: Of :class:`~mmdense.mmseg.evaluation.SegMetric`.

    Raises:
        TypeError: If ``ignore_index`` is not an integer.
        ValueError: In ``process``, naming the image, if a label is neither a
            class nor ``ignore_index``.
    """

    def __init__(self, ignore_index: int = 255, **kwargs):
        check_at_least(-math.inf, ignore_index=ignore_index)
        super().__init__(**kwargs)
        self.ignore_index = ignore_index

    def judge(self, sample: dict) -> np.ndarray:
        """Compute the confusion matrix of one image.

        Args:
            sample (dict): Holds ``gt_sem_seg`` and ``pred_sem_seg``, data
                (1, H, W) each.
        """
        # mmseg's prediction of a single logit is a float.
        truth, prediction = (
            sample[key]['data'].long().cpu().numpy()
            for key in ('gt_sem_seg', 'pred_sem_seg'))
        try:
            return confusion_matrix(truth, prediction,
                                    len(self.dataset_meta['classes']),
                                    self.ignore_index)
        except ValueError as error:
            raise ValueError(
                f'{sample.get("seg_map_path", "a sample")}: {error}'
            ) from error

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Return the scores of all images in %; log those of each class."""
        scores = segmentation_scores(sum(results))
        table = PrettyTable()
        table.add_column('class', self.dataset_meta['classes'])
        for name in ('iu', 'accuracy'):
            table.add_column(name, np.round(100 * scores[name], 2))
        print_log(f'by class:\n{table}', MMLogger.get_current_instance())
        return {name: round(100 * float(scores[name]), 2) for name in SCORES}
