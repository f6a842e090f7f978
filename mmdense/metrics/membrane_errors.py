"""Pixel, Rand and warping error of a segmentation into cells and membranes.

Source: the errors of the ISBI 2012 challenge (segmentation lecture, slides 31
and 32): I. Arganda-Carreras et al., *Crowdsourcing the creation of image
segmentation algorithms for connectomics*, Frontiers in Neuroanatomy 9 (2015);
V. Jain et al., *Boundary learning by optimization with topological
constraints*, CVPR 2010.

A map is True in cells, False on membranes. Cells are 4-connected, membranes
8-connected, so that a thin diagonal membrane parts two cells. Pixels that do
not count (of an image that is annotated in part) belong to no cell of either
map.
"""
from functools import cache

import numpy as np
from scipy import ndimage

from mmdense.arguments import check_array

# The ring of neighbours of a pixel, clockwise from the upper left.
RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def pixel_error(predicted: np.ndarray,
                truth: np.ndarray,
                counted: np.ndarray | None = None) -> float:
    """Compute the share of counted pixels whose class differs.

    Args:
        predicted (np.ndarray): Bool, (H, W).
        truth (np.ndarray): Bool, (H, W).
        counted (np.ndarray, optional): False where a pixel does not count,
            bool, (H, W); None counts all.

    Returns:
        float: From 0 to 1; NaN if no pixel counts.
    """
    predicted, truth, pixels = _counted(predicted, truth, counted)
    return _share(predicted != truth, pixels)


def rand_error(predicted: np.ndarray,
               truth: np.ndarray,
               counted: np.ndarray | None = None) -> float:
    """Compute 1 - F-score of the foreground-restricted Rand index.

    Counted are the ordered pairs of true cell pixels, a pixel with itself
    included; true membrane pixels take no part. With ``n_ij`` the pixels of
    true cell i in predicted cell j::

        both      = sum_ij n_ij^2 + m
        predicted = sum_j (sum_i n_ij)^2 + m
        true      = sum_i (sum_j n_ij + m_i)^2

    where the ``m = sum_i m_i`` true cell pixels that are predicted membrane
    are each a segment of its own. Precision is both / predicted, recall
    both / true, and the error 1 - 2 both / (predicted + true). Cells are the
    4-connected pieces of each map. Without any true cell there is nothing to
    get wrong: 0.

    Args:
        predicted (np.ndarray): True in cells, bool, (H, W).
        truth (np.ndarray): True in cells, bool, (H, W).
        counted (np.ndarray, optional): As in :func:`pixel_error`.
    """
    predicted, truth, _ = _counted(predicted, truth, counted)
    cells, _ = ndimage.label(truth)
    pieces, number = ndimage.label(predicted)
    inside = truth.astype(bool)
    # A pair of numbers as one: a table of all pairs would not fit.
    pairs, counts = np.unique(
        cells[inside].astype(np.int64) * (number + 1) + pieces[inside],
        return_counts=True)
    piece = pairs % (number + 1)
    counts = counts.astype(np.float64)
    missed = counts[piece == 0].sum()
    hit = piece > 0
    both = (counts[hit]**2).sum() + missed
    sizes = np.bincount(piece[hit], counts[hit])
    found = (sizes**2).sum() + missed
    there = (np.bincount(cells[inside]).astype(np.float64)**2).sum()
    if there == 0:
        return 0.0
    return float(1 - 2 * both / (found + there))


@cache
def simple_patterns() -> np.ndarray:
    """Return whether a pixel can change class without changing the topology.

    Indexed by its ring of neighbours: bit k is set when neighbour ``RING[k]``
    is a cell's. The pixel is simple when the ring holds exactly one
    4-connected piece of cell that reaches a side of the pixel, and exactly
    one 8-connected piece of membrane: flipping it then neither joins, parts,
    makes nor ends a cell or a membrane.

    Returns:
        np.ndarray: Bool, (256,).
    """
    simple = np.zeros(256, bool)
    sides = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    for pattern in range(256):
        ring = np.zeros((3, 3), bool)
        for bit, (dy, dx) in enumerate(RING):
            ring[1 + dy, 1 + dx] = pattern >> bit & 1
        pieces, _ = ndimage.label(ring)
        outside = ~ring
        outside[1, 1] = False
        _, membranes = ndimage.label(outside, np.ones((3, 3)))
        simple[pattern] = membranes == 1 and \
            len(np.unique(pieces[sides & ring])) == 1
    return simple


def warp(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Deform the true map towards the predicted one, topology unchanged.

    Pixels in which the two differ and which are simple are flipped until
    none is left; around the map there is membrane. That is a descent (Jain
    et al., Section 3): which of several smallest warpings it finds depends on
    the order. Here pixels of equal parity in row and column go together,
    which is as good as one after the other: none is in another's ring.

    Args:
        truth (np.ndarray): True in cells, bool, (H, W).
        predicted (np.ndarray): True in cells, bool, (H, W).

    Returns:
        np.ndarray: The warped truth, bool, (H, W).
    """
    _check(predicted, truth)
    simple = simple_patterns()
    width = truth.shape[1] + 2
    warped = np.pad(truth.astype(bool), 1).ravel()
    target = np.pad(predicted.astype(bool), 1).ravel()
    differ = np.flatnonzero(warped != target)
    row, column = np.divmod(differ, width)
    groups = [
        differ[(row % 2 == i) & (column % 2 == j)] for i in (0, 1)
        for j in (0, 1)
    ]
    ring = [dy * width + dx for dy, dx in RING]
    while True:
        flipped = 0
        for k, group in enumerate(groups):
            pattern = np.zeros(len(group), np.uint8)
            for bit, step in enumerate(ring):
                pattern |= warped[group + step].astype(np.uint8) << bit
            flips = simple[pattern]
            warped[group[flips]] ^= True
            groups[k] = group[~flips]
            flipped += np.count_nonzero(flips)
        if not flipped:
            return warped.reshape(-1, width)[1:-1, 1:-1]


def warping_error(predicted: np.ndarray,
                  truth: np.ndarray,
                  counted: np.ndarray | None = None) -> float:
    """Compute the share of counted pixels where the warped truth differs.

    Thicker membranes and those shifted by no more than their thickness cost
    nothing; gaps that join two cells, walls that part one, holes and stray
    cells do, by their pixels.

    Args:
        predicted (np.ndarray): True in cells, bool, (H, W).
        truth (np.ndarray): True in cells, bool, (H, W); see :func:`warp`.
        counted (np.ndarray, optional): As in :func:`pixel_error`.

    Returns:
        float: From 0 to 1; NaN if no pixel counts.
    """
    predicted, truth, pixels = _counted(predicted, truth, counted)
    return _share(predicted != warp(truth, predicted), pixels)


def _counted(predicted, truth, counted):
    """Clear both maps where pixels do not count; return also the count."""
    _check(predicted, truth)
    if counted is None:
        return predicted, truth, truth.size
    check_array(counted, 2, 'b', 'counted')
    if counted.shape != truth.shape:
        raise ValueError('counted must have the shape of truth, '
                         f'{truth.shape}, got {counted.shape}')
    return predicted & counted, truth & counted, int(counted.sum())


def _share(wrong, pixels):
    return float(wrong.sum() / pixels) if pixels else np.nan


def _check(predicted, truth):
    check_array(predicted, 2, 'b', 'predicted')
    check_array(truth, 2, 'b', 'truth')
    if predicted.shape != truth.shape or not truth.size:
        raise ValueError('predicted and truth must have one size (H, W), got '
                         f'{predicted.shape} and {truth.shape}')
