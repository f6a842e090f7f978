"""The four scores of FCN, from one confusion matrix.

Source: J. Long, E. Shelhamer and T. Darrell, *Fully Convolutional Networks
for Semantic Segmentation*, CVPR 2015, Section 5; the lecture's slide 17.
"""
import math

import numpy as np

from mmdense.arguments import (
    check_array,
    check_at_least,
    check_positive,
)


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray,
                     num_classes: int, ignore_index: int) -> np.ndarray:
    """Count pixels by their class and the class predicted for them.

    Args:
        truth (np.ndarray): Labels, integer, any shape.
        prediction (np.ndarray): Predicted labels, of the same shape.
        num_classes (int): Labels are 0 to ``num_classes - 1``.
        ignore_index (int): Label of pixels that do not count.

    Returns:
        np.ndarray: (num_classes, num_classes), int64; entry (i, j) counts
            pixels of class i that were predicted to be of class j.

    Raises:
        TypeError: If a map does not hold integers, or another argument is not
            an integer.
        ValueError: If the shapes differ, or a label is not one of the classes.
    """
    check_array(truth, None, 'iub', 'truth')
    check_array(prediction, None, 'iub', 'prediction')
    check_positive(num_classes=num_classes)
    check_at_least(-math.inf, ignore_index=ignore_index)
    if truth.shape != prediction.shape:
        raise ValueError('prediction must have the shape of truth, '
                         f'{truth.shape}, got {prediction.shape}')
    counted = truth != ignore_index
    labels = []
    for name, map_ in (('truth', truth), ('prediction', prediction)):
        values = map_[counted].astype(np.int64)
        wrong = values[(values < 0) | (values >= num_classes)]
        if len(wrong):
            # What is predicted for an ignored pixel is not looked at.
            also = f' or {ignore_index} (ignored)' if name == 'truth' else ''
            raise ValueError(
                f'{name} must hold labels 0 to {num_classes - 1}{also}, got '
                f'{", ".join(map(str, np.unique(wrong)[:8]))}')
        labels.append(values)
    pairs = labels[0] * num_classes + labels[1]
    return np.bincount(
        pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def segmentation_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Compute pixel and mean accuracy, mean and frequency-weighted IU.

    With ``n[i, j]`` the confusion matrix and ``t[i] = sum_j n[i, j]``:

    * ``pixel_accuracy = sum_i n[i, i] / sum_i t[i]``;
    * ``accuracy[i] = n[i, i] / t[i]``, ``mean_accuracy`` their mean;
    * ``iu[i] = n[i, i] / (t[i] + sum_j n[j, i] - n[i, i])``, ``mean_iu``
      their mean;
    * ``frequency_weighted_iu = sum_i t[i] iu[i] / sum_i t[i]``.

    Means are over the classes that occur in the truth, as the authors score
    SIFT Flow, whose test images lack three of 33: ``accuracy`` and ``iu`` of
    an absent class are nan. What is wrongly predicted as an absent class
    still counts against the class it is of. (mmseg's mIoU takes a class into
    its mean as 0 if it was predicted only.)

    Args:
        confusion (np.ndarray): See :func:`confusion_matrix`.

    Returns:
        dict[str, np.ndarray]: The four scores, fractions, nan if no pixel
            counts; ``accuracy`` and ``iu`` (classes, ).

    Raises:
        TypeError, ValueError: If ``confusion`` is not a square of counts.
    """
    check_array(confusion, 2, 'iuf', 'confusion')
    if confusion.shape[0] != confusion.shape[1] or \
            not (confusion >= 0).all():
        raise ValueError('confusion must be counts of at least 0, '
                         f'(classes, classes), got {confusion.shape}')
    right = np.diag(confusion).astype(float)
    total = confusion.sum(1).astype(float)
    total[total == 0] = np.nan
    accuracy = right / total
    iu = right / (total + confusion.sum(0) - right)
    present = ~np.isnan(total)
    pixels = confusion.sum() or np.nan

    def mean(values):
        return values[present].mean() if present.any() else np.nan

    return dict(
        pixel_accuracy=right.sum() / pixels,
        mean_accuracy=mean(accuracy),
        mean_iu=mean(iu),
        frequency_weighted_iu=(total * iu)[present].sum() / pixels,
        accuracy=accuracy,
        iu=iu)
