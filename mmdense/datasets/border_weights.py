"""The loss weights of U-Net: class balance, and the gaps between cells.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net*, arXiv:1505.04597,
equation 2; segmentation lecture, slide 29.
"""
import math
from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

# What a weight may lack: below float32's resolution at 1.
NEGLIGIBLE = 1e-8


def border_weights(label: np.ndarray,
                   cell: int = 1,
                   frequencies: Sequence[float] | None = None,
                   w0: float = 10,
                   sigma: float = 5,
                   ignore_index: int = 255) -> np.ndarray:
    """Weight of every pixel in the loss.

    ``w = w_c + w0 * exp(-(d1 + d2)^2 / (2 sigma^2))``. ``d1`` and ``d2`` are
    :func:`border_distances` to the nearest and the second nearest cell; with
    less than two cells the second term is 0. ``w_c = 1 / (K f)``, f the
    frequency of the pixel's class and K the number of classes: with the
    frequencies of this label map its mean is 1.

    Readings: the formula holds at every pixel, inside cells too; cells are
    the 4-connected pieces of the class ``cell``.

    Args:
        label (np.ndarray): Class indices, (H, W).
        cell (int): The class whose pieces are cells.
        frequencies (Sequence[float], optional): Share of each class in the
            training set; None takes the shares in this label map.
        w0 (float): Weight of the gaps.
        sigma (float): Their width in pixels.
        ignore_index (int): Pixels without a class; their ``w_c`` is 0.

    Returns:
        np.ndarray: (H, W), float32.

    Raises:
        ValueError: If a class of the map has no positive frequency, or
            ``w0`` or ``sigma`` is not positive.
    """
    for name, value in (('w0', w0), ('sigma', sigma)):
        if not value > 0:
            raise ValueError(f'{name} wants a positive number, got {value}')
    weights = _class_balance(label, frequencies, ignore_index)
    cells, _ = ndimage.label(label == cell)
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
        number = len(frequencies)
        if len(classes) and classes[-1] >= number or \
                not all(frequencies[c] > 0 for c in classes):
            raise ValueError(
                'frequencies wants a positive share for each of the classes '
                f'{classes.tolist()}, got {list(frequencies)}')
        shares = np.array([frequencies[c] for c in classes])
    table = np.zeros(max(int(label.max(initial=0)), ignore_index) + 1)
    table[classes] = 1 / (number * shares) if len(classes) else 0
    return table[label]


def border_distances(cells: np.ndarray,
                     reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the borders of the nearest and the second nearest cell.

    The border of a cell are its pixels beside (4 neighbours) a pixel that is
    not its own; the edge of the map is no border. Distances are Euclidean,
    between pixel centres, and exact.

    Args:
        cells (np.ndarray): 0 outside cells, else the number of the cell,
            (H, W), integer.
        reach (float): Distances above it, in pixels, come as infinity, as do
            those to a cell that is not there.

    Returns:
        tuple[np.ndarray, np.ndarray]: Nearest and second nearest, (H, W),
        float64 each.
    """
    near = np.full(cells.shape, np.inf)
    second = np.full(cells.shape, np.inf)
    margin = math.ceil(reach)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for number, box in enumerate(ndimage.find_objects(cells), 1):
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
