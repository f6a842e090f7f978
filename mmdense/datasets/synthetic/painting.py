"""Anti-aliased shapes, textures and backgrounds for the synthetic sets.

Images are float32 arrays of shape (H, W, 3), BGR, 0 to 255. Points are (x, y)
in pixels, pixel centres at integers. A shape is a signed distance in pixels,
negative inside, computed on the rectangle of the image it touches.
"""
from typing import NamedTuple

import cv2
import numpy as np

PATTERNS = ('plain', 'rings', 'stripes', 'checks', 'dots', 'weave')


class Box(NamedTuple):
    """A rectangle of the image: rows ``top`` to ``bottom`` (exclusive)."""
    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixel coordinates x (1, w) and y (h, 1)."""
        x = np.arange(self.left, self.right, dtype=np.float32)[None]
        y = np.arange(self.top, self.bottom, dtype=np.float32)[:, None]
        return x, y


def box_around(points: np.ndarray, margin: float,
               shape: tuple[int, ...]) -> Box | None:
    """Return the part of an image near ``points`` (N, 2), or None."""
    low = np.floor(points.min(0) - margin - 1.5).astype(int)
    high = np.ceil(points.max(0) + margin + 2.5).astype(int)
    box = Box(max(low[1], 0), min(high[1], shape[0]), max(low[0], 0),
              min(high[0], shape[1]))
    if box.top >= box.bottom or box.left >= box.right:
        return None
    return box


def capsule_distance(box: Box, a: np.ndarray, b: np.ndarray, ra: float,
                     rb: float) -> tuple[np.ndarray, ...]:
    """Return distance, position along and radius of a tapered capsule.

    The taper is interpolated, not tangent: exact enough for limbs, whose two
    radii are close.
    """
    x, y = box.grid()
    dx, dy = float(b[0] - a[0]), float(b[1] - a[1])
    px, py = x - float(a[0]), y - float(a[1])
    t = np.clip((px * dx + py * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    radius = ra + t * (rb - ra)
    return np.hypot(px - t * dx, py - t * dy) - radius, t, radius


def hull_distance(box: Box, points: np.ndarray, radius: float) -> np.ndarray:
    """Return the distance to the hull of ``points`` plus ``radius``."""
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    x, y = box.grid()
    outside = np.full((y.size, x.size), np.inf, np.float32)
    inside = np.full((y.size, x.size), -np.inf, np.float32)
    centre = hull.mean(0)
    for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        edge = b - a
        length = max(float(np.hypot(*edge)), 1e-6)
        outward = np.array([edge[1], -edge[0]]) / length
        if outward @ (centre - a) > 0:
            outward = -outward
        px, py = x - a[0], y - a[1]
        t = np.clip((px * edge[0] + py * edge[1]) / length**2, 0, 1)
        outside = np.minimum(outside, np.hypot(px - t * edge[0],
                                               py - t * edge[1]))
        inside = np.maximum(inside, px * outward[0] + py * outward[1])
    return np.where(inside < 0, -outside, outside) - radius


def coverage(distance: np.ndarray) -> np.ndarray:
    """Return how much of a pixel the shape covers, 0 to 1."""
    return np.clip(0.5 - distance, 0, 1)


def round_shade(distance: np.ndarray, radius: np.ndarray | float,
                light: np.ndarray) -> np.ndarray:
    """Return the brightness of a surface that bulges to the viewer.

    Args:
        distance (np.ndarray): Signed distance, shape (h, w).
        radius (np.ndarray | float): Depth in pixels at which it is flat.
        light (np.ndarray): Unit direction to the light: right, down, to the
            viewer.

    Returns:
        np.ndarray: About 0.45 in shadow to 1.15 in the light, shape (h, w).
    """
    if min(distance.shape) < 2:
        return np.ones_like(distance)
    depth = np.clip(-distance / np.maximum(radius, 1e-3), 0, 1)
    gy, gx = np.gradient(distance)
    normal_z = np.sqrt(np.clip(1 - (1 - depth)**2, 0, 1))
    lean = np.sqrt(1 - normal_z**2)
    dot = lean * (gx * light[0] + gy * light[1]) + normal_z * light[2]
    return 0.45 + 0.7 * np.clip(dot, 0, 1)


def blend(image: np.ndarray, box: Box, alpha: np.ndarray,
          colour: np.ndarray) -> None:
    """Paint ``colour``, (3,) or (h, w, 3), over ``box`` of the image."""
    target = image[box.slices]
    target += alpha[..., None] * (colour - target)


class Material(NamedTuple):
    """Two colours and how they alternate; ``period`` in surface units."""
    colour: np.ndarray
    second: np.ndarray
    pattern: str = 'plain'
    period: float = 0.1
    phase: float = 0.0

    def paint(self, u: np.ndarray, v: np.ndarray,
              pixels_per_unit: float) -> np.ndarray:
        """Return the colour at surface coordinates u, v (h, w): (h, w, 3)."""
        # A pattern finer than the pixels would be noise: fade it out.
        visible = np.clip(self.period * pixels_per_unit / 3 - 0.4, 0, 1)
        if self.pattern == 'plain' or visible == 0:
            return np.broadcast_to(self.colour, (*u.shape, 3))
        k = 2 * np.pi / self.period
        a = np.sin(k * u + self.phase)
        b = np.sin(k * v + self.phase)
        wave = dict(
            rings=lambda: 4 * a,
            stripes=lambda: 4 * b,
            checks=lambda: 6 * a * b,
            dots=lambda: 6 * (a * b - 0.45),
            weave=lambda: a + np.sin(1.7 * k * (u + v)) + b)[self.pattern]()
        mix = visible * (0.5 + 0.5 * np.clip(wave, -1, 1))
        return self.colour + mix[..., None] * (self.second - self.colour)


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour; greys and muted tones are as likely as bright ones."""
    hsv = np.array([[[
        rng.uniform(0, 180), 255 * rng.uniform(0, 0.9)**1.2,
        255 * rng.uniform(0.15, 1)
    ]]])
    bgr = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)
    return bgr[0, 0].astype(np.float32)


def random_material(rng: np.random.Generator,
                    period: tuple[float, float] = (0.05, 0.2)) -> Material:
    """Draw a random colour, patterned in about two cases of three."""
    colour = random_colour(rng)
    pattern = str(rng.choice(PATTERNS, p=[.35, .15, .15, .1, .1, .15]))
    second = colour * rng.uniform(0.4, 0.85) if rng.random() < 0.6 else \
        random_colour(rng)
    return Material(colour, second.astype(np.float32), pattern,
                    float(rng.uniform(*period)), float(rng.uniform(0, 6)))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int],
                 cells: float) -> np.ndarray:
    """Draw smooth noise of mean 0 and spread 1, ``cells`` blobs across."""
    rows = max(2, round(cells * shape[0] / max(shape)) + 1)
    columns = max(2, round(cells * shape[1] / max(shape)) + 1)
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def background(rng: np.random.Generator, shape: tuple[int,
                                                      int]) -> np.ndarray:
    """Draw a wall and a floor, or a colour slope, with smooth stains."""
    height, width = shape
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + 0.7 * ((x - .5) * np.cos(angle) +
                                (y - .5) * np.sin(angle)), 0, 1)[..., None]
    image = random_colour(rng) * (1 - ramp) + random_colour(rng) * ramp
    if rng.random() < 0.5:
        horizon = rng.uniform(0.35, 0.8) + rng.uniform(-.1, .1) * x
        floor = np.clip((y - horizon) * height, 0, 1)[..., None]
        image = image * (1 - floor) + random_colour(rng) * floor
    for cells in (3, 9, 30):
        tint = rng.uniform(0.2, 1, 3).astype(np.float32)
        image = image + (rng.uniform(3, 14) *
                         smooth_noise(rng, shape, cells)[..., None] * tint)
    return np.ascontiguousarray(image, np.float32)


def random_light(rng: np.random.Generator) -> np.ndarray:
    """Draw a unit direction to the light, left and right equally likely."""
    light = np.array([rng.uniform(-.8, .8), rng.uniform(-.9, .3), 0.75])
    return (light / np.linalg.norm(light)).astype(np.float32)


def random_clutter(rng: np.random.Generator, image: np.ndarray,
                   light: np.ndarray, size: tuple[float, float],
                   centre: np.ndarray | None = None) -> np.ndarray:
    """Paint one thing that is not a person; return its coverage.

    Args:
        rng (np.random.Generator): Source of every choice.
        image (np.ndarray): Painted in place, shape (H, W, 3).
        light (np.ndarray): Unit direction to the light, shape (3,).
        size (tuple[float, float]): Range of its length in pixels.
        centre (np.ndarray, optional): Its middle (x, y); anywhere if None.

    Returns:
        np.ndarray: Coverage 0 to 1, float32, shape (H, W).
    """
    height, width = image.shape[:2]
    covered = np.zeros((height, width), np.float32)
    if centre is None:
        centre = rng.uniform((0, 0), (width, height))
    length = rng.uniform(*size)
    angle = rng.uniform(0, np.pi)
    axis = np.array([np.cos(angle), np.sin(angle)])
    kind = rng.choice(['bar', 'ball', 'box'], p=[0.45, 0.2, 0.35])
    material = random_material(rng, (0.1, 0.5))
    if kind == 'box':
        across = np.array([-axis[1], axis[0]]) * rng.uniform(0.3, 0.9)
        corners = centre + 0.5 * length * np.array(
            [axis + across, axis - across, -axis - across, across - axis])
        radius = rng.uniform(1, 0.1 * length + 1)
        box = box_around(corners, radius, image.shape)
        if box is None:
            return covered
        distance = hull_distance(box, corners, radius)
        shade = 0.7 + 0.3 * round_shade(distance, 2 * radius, light)
    else:
        half = 0.5 * length * axis * (kind == 'bar')
        radius = 0.5 * length * (
            rng.uniform(0.08, 0.25) if kind == 'bar' else 1)
        ends = np.array([centre - half, centre + half])
        box = box_around(ends, radius, image.shape)
        if box is None:
            return covered
        distance, _, radius = capsule_distance(
            box, *ends, radius, radius * rng.uniform(0.6, 1))
        shade = round_shade(distance, radius, light)
    x, y = box.grid()
    u = ((x - centre[0]) * axis[0] + (y - centre[1]) * axis[1]) / length
    v = ((y - centre[1]) * axis[0] - (x - centre[0]) * axis[1]) / length
    alpha = coverage(distance).astype(np.float32)
    blend(image, box, alpha, shade[..., None] * material.paint(u, v, length))
    covered[box.slices] = alpha
    return covered


def finish(rng: np.random.Generator, image: np.ndarray,
           noise: float) -> np.ndarray:
    """Apply exposure, sensor noise and rounding; return a uint8 image."""
    image = image * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12)
    grain = rng.standard_normal(image.shape[:2], dtype=np.float32)
    image = image + noise * grain[..., None]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
