"""The figures of the two biomedical challenges as mmseg metrics."""
import logging
import math
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.logging import print_log
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
from mmdense.mmseg.evaluation import SegMetric
from mmdense.registry import METRICS

ERRORS = dict(
    pixel_error=pixel_error,
    rand_error=rand_error,
    warping_error=warping_error)


@METRICS.register_module()
class MembraneMetric(SegMetric):
    """Pixel, Rand and warping error at the best of several thresholds.

    The probability of a cell, the softmax of the logits, is thresholded;
    each error of :mod:`mmdense.metrics.membrane_errors` is averaged over the
    images, and its smallest average is given with the threshold that had it.
    The lecture (slide 31) speaks of 10 levels and does not say which. Pixels
    that are ignored in the truth count in none of the errors; an image of
    nothing else is left out. NaN if no pixel of any image counts.

    With mmseg's ``SegTTAModel`` (``--tta``) only the predicted classes are
    those of all views, the logits are those of the last. Then the predicted
    classes are scored and no threshold is given; ``tta_model =
    dict(type='mmdense.ProbabilityTTAModel')`` merges the probabilities.

    Args:
        cell (int): Class index of cells; all else is membrane.
        thresholds (Sequence[float]): A pixel is a cell's if its probability
            exceeds the threshold.
        ignore_index (int): Label of pixels that do not count.
        **kwargs: Of :class:`~mmdense.mmseg.evaluation.SegMetric`.

    Raises:
        TypeError: If ``cell`` or ``ignore_index`` is not an integer, or
            ``thresholds`` is not a list of numbers.
        ValueError: If ``cell`` is negative, or there is no threshold or one
            outside 0 to 1; in ``process``, if ``cell`` is not a class.
    """

    def __init__(self,
                 cell: int = 1,
                 thresholds: Sequence[float] = tuple(np.arange(10) / 10),
                 ignore_index: int = 255,
                 **kwargs):
        check_at_least(0, cell=cell)
        check_at_least(-math.inf, ignore_index=ignore_index)
        check_sequence(thresholds=thresholds)
        check_share(**{
            f'thresholds[{k}]': level for k, level in enumerate(thresholds)})
        if not thresholds:
            raise ValueError('thresholds must have at least one, got none')
        super().__init__(**kwargs)
        self.cell = cell
        self.thresholds = thresholds
        self.ignore_index = ignore_index

    def judge(self, sample: dict) -> tuple[np.ndarray, bool]:
        """Compute the errors (thresholds + 1, errors); predicted classes last.

        The second value says whether the logits are not those of the
        predicted classes.
        """
        logits = sample['seg_logits']['data']
        predicted = sample.get('pred_sem_seg')
        merged = predicted is not None and _disagree(
            logits, predicted['data'][0].long())
        if len(logits) == 1:
            # Of class 1, and mmseg has taken its sigmoid.
            logits = torch.cat([1 - logits, logits]).log()
        if self.cell >= len(logits):
            raise ValueError(f'cell must be a class out of {len(logits)}, '
                             f'got {self.cell}')
        label = sample['gt_sem_seg']['data'][0].cpu().numpy()
        truth, counted = label == self.cell, label != self.ignore_index
        probability = logits.softmax(0)[self.cell].cpu().numpy()
        maps = [probability > level for level in self.thresholds]
        maps.append(probability > 0.5 if predicted is None else
                    (predicted['data'][0] == self.cell).cpu().numpy())
        return np.array([[
            error(map_, truth, counted) for error in ERRORS.values()
        ] for map_ in maps]), merged

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return each error and its threshold."""
        errors, merged = zip(*results, strict=True)
        seen = [e for e in errors if not np.isnan(e).any()]
        means = np.mean(seen, axis=0) if seen else np.full_like(
            errors[0], np.nan)
        if any(merged):
            print_log(
                'MembraneMetric: the logits are not those of the predicted '
                'classes (mmseg\'s SegTTAModel merges the classes alone): '
                'these are scored, and no threshold is sought. Set tta_model '
                '= dict(type=\'mmdense.ProbabilityTTAModel\')',
                'current',
                level=logging.WARNING)
            return {
                name: float(error)
                for name, error in zip(ERRORS, means[-1], strict=True)
            }
        figures = {}
        for name, column in zip(ERRORS, means[:-1].T, strict=True):
            best = int(column.argmin())
            figures[name] = float(column[best])
            figures[f'{name}_threshold'] = float(self.thresholds[best])
        return figures


def _disagree(logits, classes):
    """Return whether logits and classes are of different predictions."""
    if len(logits) > 1:
        likely = logits.gather(0, classes[None])[0]
        return bool((likely < logits.max(0).values).any())
    # Some threshold of the head parts the two classes.
    zeros, ones = logits[0][classes == 0], logits[0][classes == 1]
    return len(zeros) * len(ones) > 0 and bool(zeros.max() > ones.min())


@METRICS.register_module()
class CellOverlapMetric(SegMetric):
    """``SEG``, the mean intersection over union of all true cells.

    True cells are the numbers of the data sample's ``gt_instance_map``
    (``LoadInstances`` and ``PackInstanceSegInputs`` in the test pipeline):
    only these tell cells that touch. Without one they are, as predicted cells
    always, the 4-connected pieces of a class. How cells are matched says
    :func:`~mmdense.metrics.cell_overlap.cell_overlaps`. NaN without cells.
    As in mmseg's ``IoUMetric``, pixels that are ignored in the truth do not
    count, whatever is predicted there: they belong to no cell of either map.

    Args:
        cell (int | Sequence[int]): Class index of cells, or those of several
            kinds: a true cell is then found where one of its class is
            predicted. A number whose pixels are rather of another class,
            except ``background``, is not a cell of this class.
        background (int): Class of the gaps between cells
            (``MaskFromInstances``).
        ignore_index (int): Label of pixels that do not count.
        **kwargs: Of :class:`~mmdense.mmseg.evaluation.SegMetric`.

    Raises:
        TypeError, ValueError: If an argument is not an integer, or ``cell`` or
            ``background`` is negative, or there is no class of cells.
    """

    def __init__(self,
                 cell: int | Sequence[int] = 1,
                 background: int = 0,
                 ignore_index: int = 255,
                 **kwargs):
        cells = list(cell) if isinstance(cell, list | tuple) else [cell]
        if not cells:
            raise ValueError('CellOverlapMetric: cell must be at least one '
                             'class, got none')
        check_at_least(0, background=background, **{
            f'cell[{k}]' if len(cells) > 1 else 'cell': one
            for k, one in enumerate(cells)})
        check_at_least(-math.inf, ignore_index=ignore_index)
        super().__init__(**kwargs)
        self.cells = cells
        self.background = background
        self.ignore_index = ignore_index

    def judge(self, sample: dict) -> np.ndarray:
        """Compute the overlaps of the cells of one image."""
        predicted, label = (
            sample[key]['data'][0].cpu().numpy()
            for key in ('pred_sem_seg', 'gt_sem_seg'))
        counted = label != self.ignore_index
        pieces = [ndimage.label((predicted == cell) & counted)[0]
                  for cell in self.cells]
        if 'gt_instance_map' not in sample:
            truth = [ndimage.label((label == cell) & counted)[0]
                     for cell in self.cells]
            return np.concatenate(
                list(map(cell_overlaps, pieces, truth)))
        truth = sample['gt_instance_map']['data'][0].cpu().numpy()
        if truth.shape != label.shape:
            raise ValueError('gt_instance_map must have the shape of the '
                             f'label map, {label.shape}, got {truth.shape}')
        ids, truth = np.unique(
            np.where(counted, truth, 0), return_inverse=True)
        truth = truth.reshape(label.shape) + (ids[0] > 0)
        # Pixels of each number (columns) in each class of cells, and in
        # classes that are neither these nor background.
        wanted = [label == cell for cell in self.cells]
        wanted.append(~np.isin(label, [*self.cells, self.background]))
        *pixels, others = (
            np.bincount(truth[here], minlength=truth.max(initial=0) + 1)
            for here in wanted)
        kind = np.where(
            np.max(pixels, 0) >= others, np.argmax(pixels, 0), -1)
        return np.concatenate([
            cell_overlaps(found, np.where(kind[truth] == k, truth, 0))
            for k, found in enumerate(pieces)])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the mean over the cells of all images."""
        overlaps = np.concatenate(results)
        return dict(SEG=float(overlaps.mean()) if len(overlaps) else np.nan)
