"""The loss weights of U-Net: class balance, and the gaps between cells.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net*, arXiv:1505.04597,
equation 2; segmentation lecture, slide 29.
"""
import math
from collections.abc import Sequence
from numbers import Integral, Real

import cv2
import numpy as np
from scipy import ndimage

from mmdense.arguments import check_array, check_positive_number

# What a weight may lack: below float32's resolution at 1.
NEGLIGIBLE = 1e-8


def border_weights(label: np.ndarray,
                   cell: int | Sequence[int] = 1,
                   frequencies: Sequence[float] | None = None,
                   w0: float = 10,
                   sigma: float = 5,
                   ignore_index: int = 255,
                   instances: np.ndarray | None = None) -> np.ndarray:
    """Compute the loss weight of every pixel.

    ``w = w_c + w0 * exp(-(d1 + d2)^2 / (2 sigma^2))``. ``d1`` and ``d2`` are
    :func:`border_distances` to the nearest and the second nearest cell; with
    less than two cells the second term is 0. ``w_c = 1 / (K f)``, f the
    frequency of the pixel's class and K the number of classes: with the
    frequencies of this label map its mean is 1.

    Readings: the formula holds at every pixel, inside cells too. Cells are
    the ``instances``; without these the 4-connected pieces of the classes
    ``cell``, so that two cells of one class that touch are one.

    Args:
        label (np.ndarray): Class indices, (H, W).
        cell (int | Sequence[int]): The class, or the classes, whose pieces
            are cells. Not used where ``instances`` are given.
        frequencies (Sequence[float], optional): Share of each class in the
            training set, together 1; None takes the shares in this label map.
        w0 (float): Weight of the gaps.
        sigma (float): Their width in pixels.
        ignore_index (int): Pixels without a class; their ``w_c`` is 0.
        instances (np.ndarray, optional): 0 outside cells, else the number of
            the cell, (H, W), integer.

    Returns:
        np.ndarray: (H, W), float32.

    Raises:
        TypeError: If a map does not hold integers, or an argument is not a
            number.
        ValueError: If a class of the map has no positive frequency, the
            frequencies are not 1 together, ``w0`` or ``sigma`` is not
            positive, or ``instances`` has another shape than ``label``.
    """
    check_array(label, 2, 'iub', 'label')
    check_positive_number(w0=w0, sigma=sigma)
    classes = cell if isinstance(cell, tuple | list) and cell else [cell]
    for name, value in (*(('cell', c) for c in classes),
                        ('ignore_index', ignore_index)):
        if not isinstance(value, Integral):
            raise TypeError(f'{name} must be an integer, got {value!r}')
    weights = _class_balance(label, frequencies, ignore_index)
    if instances is None:
        cells = np.zeros(label.shape, np.int32)
        for c in set(classes):
            pieces, _ = ndimage.label(label == c)
            cells += (pieces + cells.max(initial=0)) * (pieces > 0)
    else:
        check_array(instances, 2, 'iu', 'instances')
        if instances.shape != label.shape:
            raise ValueError('instances must have the shape of label, '
                             f'{label.shape}, got {instances.shape}')
        cells = instances
    # Farther than this from either cell, the second term is negligible.
    reach = sigma * math.sqrt(2 * math.log(max(w0 / NEGLIGIBLE, math.e)))
    near, second = border_distances(cells, reach)
    gaps = w0 * np.exp(-(near + second)**2 / (2 * sigma**2))
    return (weights + gaps).astype(np.float32)


def _class_balance(label, frequencies, ignore_index):
    classes, counts = np.unique(
        label[label != ignore_index], return_counts=True)
    if frequencies is None:
        shares = counts / max(1, counts.sum())
        number = len(classes)
    else:
        if not isinstance(frequencies, tuple | list | np.ndarray) or \
                getattr(frequencies, 'ndim', 1) != 1:
            raise TypeError('frequencies must be a list of shares, one a '
                            f'class, got {frequencies!r}')
        number = len(frequencies)
        if not all(isinstance(share, Real) for share in frequencies) or \
                not abs(sum(frequencies) - 1) <= 0.01:
            raise ValueError('frequencies must be the share of each class, '
                             f'together 1, got {list(frequencies)}')
        if not all(0 <= c < number and frequencies[c] > 0
                   for c in classes.tolist()):
            raise ValueError(
                'frequencies must hold a positive share for each of the '
                f'classes {classes.tolist()}, got {list(frequencies)}')
        shares = np.array([frequencies[c] for c in classes.tolist()])
    weights = np.zeros(label.shape)
    for c, share in zip(classes, shares, strict=True):
        weights[label == c] = 1 / (number * share)
    return weights


def border_distances(cells: np.ndarray,
                     reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distances to the two nearest cells.

    The border of a cell is its pixels with a neighbour (of 4) outside the
    cell; the edge of the map is not a border. Distances are Euclidean, between
    pixel centres, and exact.

    Args:
        cells (np.ndarray): 0 outside cells, else the number of the cell,
            (H, W), integer.
        reach (float): Largest distance in pixels; larger ones are infinite,
            and so are those to a cell that does not exist.

    Returns:
        tuple[np.ndarray, np.ndarray]: Nearest and second nearest, (H, W),
        float64 each.

    Raises:
        TypeError: If ``cells`` does not hold integers.
        ValueError: If a number or ``reach`` is negative.
    """
    check_array(cells, 2, 'iu', 'cells')
    if not isinstance(reach, Real) or not reach >= 0:
        raise ValueError(f'reach must be at least 0, got {reach!r}')
    if cells.min(initial=0) < 0:
        raise ValueError(f'cells must be numbers of at least 0, got '
                         f'{cells.min()}')
    if cells.max(initial=0) > cells.size:  # find_objects lists them all
        cells = np.unique(np.append(cells, 0), return_inverse=True)[1][
            :-1].reshape(cells.shape)
    reach = min(reach, sum(cells.shape))
    near = np.full(cells.shape, np.inf)
    second = np.full(cells.shape, np.inf)
    # At least what tells an edge of the cell from the edge of the map.
    margin = max(1, math.ceil(reach))
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    boxes = ndimage.find_objects(cells) if cells.size else []
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        # Nothing farther from the cell than its reach can see it.
        window = tuple(
            slice(max(0, side.start - margin), side.stop + margin)
            for side in box)
        own = (cells[window] == number).astype(np.uint8)
        border = own - cv2.erode(own, cross)
        if not border.any():  # the cell is the whole map
            continue
        distance = cv2.distanceTransform(1 - border, cv2.DIST_L2,
                                         cv2.DIST_MASK_PRECISE)
        # Squares are whole numbers: so float32's last digits, which depend on
        # how memory is aligned, do not reach the weights.
        distance = np.sqrt(np.rint(distance.astype(np.float64)**2))
        distance[distance > reach] = np.inf
        first, other = near[window], second[window]
        np.minimum(other, np.maximum(first, distance), out=other)
        np.minimum(first, distance, out=first)
    return near, second
