"""Overlap of single cells, as the Cell Tracking Challenge measures it.

Source: M. Maska et al., *A benchmark for comparison of cell tracking
algorithms*, Bioinformatics 30 (2014), measure SEG; the figure of the
segmentation lecture, slide 33.
"""
import numpy as np

from mmdense.arguments import check_array


def cell_overlaps(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of every true cell.

    A predicted cell matches a true one when it covers more than half of the
    true cell's pixels; at most one can. A true cell without a match has 0;
    predicted cells without one cost nothing. SEG is the mean over all true
    cells.

    Args:
        predicted (np.ndarray): Numbers of cells, 0 outside, (H, W).
        truth (np.ndarray): Numbers of cells, 0 outside, (H, W).

    Returns:
        np.ndarray: One value in [0, 1] a true cell, by increasing number.

    Raises:
        TypeError: If a map does not hold integers.
        ValueError: If the maps differ in shape or a number is negative.
    """
    for name, cells in (('predicted', predicted), ('truth', truth)):
        check_array(cells, None, 'iu', name)
        if cells.min(initial=0) < 0:
            raise ValueError(f'{name} must be numbers of at least 0, got '
                             f'{cells.min()}')
    if predicted.shape != truth.shape:
        raise ValueError('predicted and truth must have one shape, got '
                         f'{predicted.shape} and {truth.shape}')
    cells, own = np.unique(truth[truth > 0], return_inverse=True)
    sizes = np.bincount(own, minlength=len(cells))
    pieces, areas = np.unique(predicted[predicted > 0], return_counts=True)
    overlaps = np.zeros(len(cells))
    both = (truth > 0) & (predicted > 0)
    pairs, counts = np.unique(
        np.stack([truth[both], predicted[both]]).astype(np.int64),
        axis=1,
        return_counts=True)
    i = np.searchsorted(cells, pairs[0])
    j = np.searchsorted(pieces, pairs[1])
    matched = 2 * counts > sizes[i]
    i, j, counts = i[matched], j[matched], counts[matched]
    overlaps[i] = counts / (sizes[i] + areas[j] - counts)
    return overlaps
