"""Elastic deformation by a few random displacement vectors.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net*, arXiv:1505.04597,
Section 3.1; segmentation lecture, slide 24.
"""
import cv2
import numpy as np
import torch
from torch.nn import functional as F

INTERPOLATIONS = dict(
    nearest=cv2.INTER_NEAREST,
    linear=cv2.INTER_LINEAR,
    cubic=cv2.INTER_CUBIC)


def displacement_field(vectors: np.ndarray,
                       size: tuple[int, int]) -> np.ndarray:
    """Per-pixel displacements from those of a coarse grid, bicubically.

    The outer vectors of the grid sit on the corner pixels of the image.

    Args:
        vectors (np.ndarray): (dy, dx) of every grid point in pixels,
            (2, rows, columns).
        size (tuple[int, int]): Height and width of the image.

    Returns:
        np.ndarray: (dy, dx) of every pixel, (2, H, W), float32.
    """
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
    """
    y, x = np.indices(picture.shape[:2], np.float32) + displacement
    deformed = cv2.remap(
        picture, x, y, INTERPOLATIONS[interpolation],
        borderMode=cv2.BORDER_REFLECT_101)
    # A single channel would be lost.
    return deformed.reshape(picture.shape)
