"""Elastic deformation by a few random displacement vectors.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net*, arXiv:1505.04597,
Section 3.1; segmentation lecture, slide 24.
"""
import cv2
import numpy as np
import torch
from torch.nn import functional as F

from mmdense.arguments import check_array, check_size

INTERPOLATIONS = dict(
    nearest=cv2.INTER_NEAREST,
    linear=cv2.INTER_LINEAR,
    cubic=cv2.INTER_CUBIC)
# What OpenCV interpolates.
DTYPES = ('uint8', 'uint16', 'int16', 'float32', 'float64')


def displacement_field(vectors: np.ndarray,
                       size: tuple[int, int]) -> np.ndarray:
    """Interpolate the displacements of a coarse grid to every pixel.

    The outer vectors of the grid sit on the corner pixels of the image.

    Args:
        vectors (np.ndarray): (dy, dx) of every grid point in pixels,
            (2, rows, columns).
        size (tuple[int, int]): Height and width of the image.

    Returns:
        np.ndarray: (dy, dx) of every pixel, (2, H, W), float32.

    Raises:
        TypeError, ValueError: If ``vectors`` is not such an array of finite
            numbers, or ``size`` is not a height and a width.
    """
    check_array(vectors, 3, 'fiu', 'vectors')
    check_size(size)
    if len(vectors) != 2 or not vectors.size or \
            not np.isfinite(vectors).all():
        raise ValueError('vectors must be finite, (2, rows, columns), got '
                         f'{vectors.shape}')
    grid = torch.from_numpy(vectors.astype(np.float32))[None]
    return F.interpolate(
        grid, size=tuple(size), mode='bicubic', align_corners=True)[0].numpy()


def deform(picture: np.ndarray, displacement: np.ndarray,
           interpolation: str) -> np.ndarray:
    """Read a picture at displaced positions.

    ``out[y, x] = picture[y + dy[y, x], x + dx[y, x]]``; beyond its border the
    picture is mirrored.

    Args:
        picture (np.ndarray): (H, W) or (H, W, C).
        displacement (np.ndarray): (dy, dx) in pixels, (2, H, W), float32.
        interpolation (str): 'nearest', 'linear' or 'cubic'.

    Returns:
        np.ndarray: Shape and dtype of ``picture``.

    Raises:
        TypeError: If an argument is not an array of a dtype that can be read
            between pixels.
        ValueError: If the shapes do not fit, a displacement is not finite, or
            there is no such interpolation.
    """
    check_array(picture, None, 'iuf', 'picture')
    check_array(displacement, 3, 'fiu', 'displacement')
    if picture.dtype.name not in DTYPES:
        raise TypeError(f'picture must be of {" or ".join(DTYPES)}, got '
                        f'{picture.dtype}')
    if picture.ndim not in (2, 3) or not picture.size:
        raise ValueError('picture must have shape (H, W) or (H, W, C), got '
                         f'{picture.shape}')
    if displacement.shape != (2, *picture.shape[:2]) or \
            not np.isfinite(displacement).all():
        raise ValueError(
            f'displacement must be finite, {(2, *picture.shape[:2])}, got '
            f'{displacement.shape}')
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f'interpolation must be one of '
                         f'{list(INTERPOLATIONS)}, got {interpolation!r}')
    y, x = np.indices(picture.shape[:2], np.float32) + displacement.astype(
        np.float32, copy=False)
    deformed = cv2.remap(
        picture, x, y, INTERPOLATIONS[interpolation],
        borderMode=cv2.BORDER_REFLECT_101)
    # A single channel would be lost.
    return deformed.reshape(picture.shape)
