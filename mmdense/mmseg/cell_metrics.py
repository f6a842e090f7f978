"""The figures of the two biomedical challenges as mmseg metrics."""
import math
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from scipy import ndimage

from mmdense.arguments import (
    check_at_least,
    check_sequence,
    check_share,
)
from mmdense.metrics.cell_overlap import cell_overlaps
from mmdense.metrics.membrane_errors import (
    pixel_error,
    rand_error,
    warping_error,
)
from mmdense.registry import METRICS

ERRORS = dict(
    pixel_error=pixel_error,
    rand_error=rand_error,
    warping_error=warping_error)


@METRICS.register_module()
class MembraneMetric(BaseMetric):
    """Pixel, Rand and warping error at the best of several thresholds.

    The probability of a cell, the softmax of the logits, is thresholded;
    each error of :mod:`mmdense.metrics.membrane_errors` is averaged over the
    images, and its smallest average is given with the threshold that had it.
    The lecture (slide 31) speaks of 10 levels and does not say which.

    Args:
        cell (int): Class index of cells; all else is membrane.
        thresholds (Sequence[float]): A pixel is a cell's if its probability
            exceeds the threshold.
        **kwargs: Of mmengine's BaseMetric.

    Raises:
        TypeError: If ``cell`` is no integer, or ``thresholds`` no list of
            numbers.
        ValueError: If ``cell`` is negative, or there is no threshold or one
            outside 0 to 1; in ``process``, if ``cell`` is no class.
    """

    def __init__(self,
                 cell: int = 1,
                 thresholds: Sequence[float] = tuple(np.arange(10) / 10),
                 **kwargs):
        check_at_least(0, cell=cell)
        check_sequence(thresholds=thresholds)
        check_share(**{
            f'thresholds[{k}]': level for k, level in enumerate(thresholds)})
        if not thresholds:
            raise ValueError('thresholds wants at least one, got none')
        super().__init__(**kwargs)
        self.cell = cell
        self.thresholds = thresholds

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the errors of a batch's images, (thresholds, errors) each."""
        for sample in data_samples:
            logits = sample['seg_logits']['data']
            if len(logits) == 1:
                # Of class 1, and mmseg has taken its sigmoid.
                logits = torch.cat([1 - logits, logits]).log()
            if self.cell >= len(logits):
                raise ValueError(f'cell wants a class out of {len(logits)}, '
                                 f'got {self.cell}')
            probability = logits.softmax(0)[self.cell].cpu().numpy()
            truth = sample['gt_sem_seg']['data'][0].cpu().numpy() == self.cell
            self.results.append([[
                error(probability > level, truth) for error in ERRORS.values()
            ] for level in self.thresholds])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Each error and its threshold."""
        means = np.mean(results, axis=0)
        figures = {}
        for name, column in zip(ERRORS, means.T, strict=True):
            best = int(column.argmin())
            figures[name] = float(column[best])
            figures[f'{name}_threshold'] = float(self.thresholds[best])
        return figures


@METRICS.register_module()
class CellOverlapMetric(BaseMetric):
    """``SEG``, the mean intersection over union of all true cells.

    Cells are the 4-connected pieces of one class; how they are matched says
    :func:`~mmdense.metrics.cell_overlap.cell_overlaps`. NaN without cells.
    As in mmseg's ``IoUMetric``, pixels that are ignored in the truth do not
    count, whatever is predicted there: they belong to no cell of either map.

    Args:
        cell (int): Class index of cells.
        ignore_index (int): Label of pixels that do not count.
        **kwargs: Of mmengine's BaseMetric.

    Raises:
        TypeError, ValueError: If one is no integer, or ``cell`` negative.
    """

    def __init__(self, cell: int = 1, ignore_index: int = 255, **kwargs):
        check_at_least(0, cell=cell)
        check_at_least(-math.inf, ignore_index=ignore_index)
        super().__init__(**kwargs)
        self.cell = cell
        self.ignore_index = ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the overlaps of a batch's images."""
        for sample in data_samples:
            predicted, truth = (
                sample[key]['data'][0].cpu().numpy()
                for key in ('pred_sem_seg', 'gt_sem_seg'))
            counted = truth != self.ignore_index
            self.results.append(
                cell_overlaps(*(
                    ndimage.label((labels == self.cell) & counted)[0]
                    for labels in (predicted, truth))))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The mean over the cells of all images."""
        overlaps = np.concatenate(results)
        return dict(SEG=float(overlaps.mean()) if len(overlaps) else np.nan)
