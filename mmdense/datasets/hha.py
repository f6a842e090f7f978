"""HHA: what depth is encoded as for a network that takes colour images.

Source: S. Gupta, R. Girshick, P. Arbelaez and J. Malik, *Learning Rich
Features from RGB-D Images for Object Detection and Segmentation*, ECCV 2014,
the three channels; the direction of gravity is that of S. Gupta, P. Arbelaez
and J. Malik, *Perceptual Organization and Recognition of Indoor Scenes from
RGB-D Images*, CVPR 2013. The FCN paper takes both (lecture, slide 19).

Coordinates are the camera's: x to the right, y down, z away, in metres.
"""
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mmdense.arguments import check_array, check_at_least

# Focal lengths and centre, in pixels, of a Kinect's 640x480 colour camera.
KINECT = (519., 519., 320., 240.)
# Degrees from parallel or square that count, and how often: coarse, fine.
ROUNDS = ((45, 5), (15, 5))
# How much the camera's own y axis counts, as a share of the normals.
PRIOR = 0.001


def hha(depth: np.ndarray,
        camera: Sequence[float] = KINECT,
        gravity: Sequence[float] | None = None,
        radius: int = 3) -> np.ndarray:
    """Horizontal disparity, height above ground and angle with gravity.

    Each is a straight line of what it measures, cut to 0 to 255: disparity
    ``255 / z`` (255 at 1 m and nearer), height ``100 h`` (255 at 2.55 m),
    angle ``255 / 180`` of the degrees between the normal of the surface,
    which points to the camera, and gravity (a floor has 255, a wall 127.5,
    a ceiling 0). Heights are from the first percentile of the image, which is
    taken to be the ground. Where depth is missing all three are 0.

    Departures: the scales are ours, since the paper's are of its training
    set, and so is the ground; normals are of windows without regard to the
    edges of objects (:func:`surface_normals`).

    Args:
        depth (np.ndarray): In metres, (H, W); what is not positive or not
            finite is missing.
        camera (Sequence[float]): Focal lengths and centre in pixels, x and y
            each: (fx, fy, cx, cy).
        gravity (Sequence[float], optional): Direction down, (x, y, z); None
            estimates it (:func:`gravity_direction`).
        radius (int): Of the windows of the normals, in pixels.

    Returns:
        np.ndarray: (H, W, 3), float32, 0 to 255.

    Raises:
        TypeError: If the depth holds no floats, or the radius is no integer.
        ValueError: If the camera has no four numbers with positive focal
            lengths, gravity is no direction, or the radius is below 1.
    """
    normals = surface_normals(depth, camera, radius)
    there = np.isfinite(depth) & (depth > 0)
    z = np.where(there, depth, 1).astype(float)
    rays = _rays(depth.shape, camera)
    if gravity is None:
        gravity = gravity_direction(normals[there])
    down = _numbers('gravity', gravity, 3)
    if not down.any():
        raise ValueError('hha: gravity must be a direction (x, y, z), got '
                         f'{gravity!r}')
    down = down / np.linalg.norm(down)
    height = -z * (rays @ down)
    if there.any():
        height -= np.percentile(height[there], 1)
    angle = np.degrees(np.arccos((normals @ down).clip(-1, 1)))
    channels = np.stack([255 / z, 100 * height, 255 / 180 * angle], 2)
    return (channels.clip(0, 255) * there[..., None]).astype(np.float32)


def _numbers(name, values, number):
    """So many finite numbers."""
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (number, ) or not np.isfinite(found).all():
        raise ValueError(
            f'hha: {name} must be {number} numbers, got {values!r}')
    return found


def _rays(shape, camera):
    """Where each pixel looks, (H, W, 3), with z = 1."""
    fx, fy, cx, cy = _numbers('camera', camera, 4)
    if not min(fx, fy) > 0:
        raise ValueError('hha: camera must be (fx, fy, cx, cy) with positive '
                         f'focal lengths, got {camera!r}')
    y, x = np.indices(shape, float)
    return np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(shape)], 2)


def surface_normals(depth: np.ndarray,
                    camera: Sequence[float] = KINECT,
                    radius: int = 3) -> np.ndarray:
    """Unit normals of the surface, pointing to the camera.

    A plane ``n . p = d`` has the inverse depth ``n . r / d`` along the ray
    ``r = (x, y, 1)``: of each window the linear function that fits the
    inverse depths best gives the normal, exactly where the window shows one
    plane.

    Args:
        depth (np.ndarray): In metres, (H, W), as for :func:`hha`.
        camera (Sequence[float]): As there.
        radius (int): A window has ``2 radius + 1`` pixels on a side.

    Returns:
        np.ndarray: (H, W, 3), float64; a window in which no plane can be
        fitted has (0, 0, -1), towards the camera.

    Raises:
        TypeError, ValueError: As there.
    """
    check_array(depth, 2, 'f', 'depth')
    check_at_least(1, radius=radius)
    there = np.isfinite(depth) & (depth > 0)
    inverse = 1 / np.where(there, depth, 1).astype(float)
    rays = _rays(depth.shape, camera)

    def summed(values):
        return ndimage.uniform_filter(
            np.where(there, values, 0), 2 * radius + 1, mode='constant')

    # The normal equations of each window.
    products = np.empty((*depth.shape, 3, 3))
    for i in range(3):
        for j in range(i, 3):
            products[..., i, j] = products[..., j, i] = summed(
                rays[..., i] * rays[..., j])
    right = np.stack([summed(rays[..., i] * inverse) for i in range(3)], 2)
    # Of a unit step of the rays: windows are narrow, determinants small.
    narrow = (radius / max(camera[:2]))**4
    solvable = np.linalg.det(products) > 1e-4 * narrow
    products[~solvable] = np.eye(3)
    normals = -np.linalg.solve(products, right[..., None])[..., 0]
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    normals = normals / np.where(length > 0, length, 1)
    # Towards the camera: against the ray.
    away = (normals * rays).sum(2, keepdims=True) > 0
    normals = np.where(away, -normals, normals)
    normals[~solvable | (length[..., 0] == 0)] = 0, 0, -1
    return normals


def gravity_direction(normals: np.ndarray) -> np.ndarray:
    """The direction to which most surfaces are parallel or square.

    From the camera's y axis on: normals within 45 degrees of the direction
    are taken for floor or ceiling, those within 45 degrees of a right angle
    to it for walls; the new direction has the least sum of squared sines
    with the former and squared cosines with the latter. Five times so, then
    five times with 15 degrees. A departure: the camera's y axis counts as one
    in a thousand normals of a floor, so that the image of a single wall has
    an answer.

    Args:
        normals (np.ndarray): Unit vectors, (N, 3).

    Returns:
        np.ndarray: Unit vector down, (3,); the camera's y axis without
        normals.

    Raises:
        TypeError: If they are no floats.
        ValueError: If they are not (N, 3), or one is not finite.
    """
    check_array(normals, 2, 'f', 'normals')
    if normals.shape[1] != 3 or not np.isfinite(normals).all():
        raise ValueError('gravity_direction: normals must be (N, 3) and '
                         f'finite, got {normals.shape}')
    down = np.array([0., 1., 0.])
    for degrees, times in ROUNDS:
        for _ in range(times):
            cosine = np.abs(normals @ down)
            flat = normals[cosine > np.cos(np.radians(degrees))]
            walls = normals[cosine < np.sin(np.radians(degrees))]
            # Where walls alone leave a plane of directions: the camera's.
            upright = PRIOR * max(1, len(normals)) * np.diag([0., 1., 0.])
            _, vectors = np.linalg.eigh(
                walls.T @ walls - flat.T @ flat - upright)
            down = vectors[:, 0] * (1 if vectors[:, 0] @ down >= 0 else -1)
    return down
