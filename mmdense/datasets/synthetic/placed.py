"""A posed figure in an image: its joints, seen or hidden, and its paint."""
import math
from dataclasses import dataclass

import numpy as np

from mmdense.datasets.synthetic.figure import (
    FACE,
    HEAD,
    SIDES,
    Figure,
    Part,
    head_reach,
)
from mmdense.datasets.synthetic.painting import (
    Box,
    blend,
    box_around,
    capsule_distance,
    coverage,
    hull_distance,
    round_shade,
)

# How far a surface must lie before a joint to count as hiding it: more than
# any joint lies below its own skin.
HIDING_DEPTH = 0.125


@dataclass
class Placed:
    """A figure in an image: pixel = origin + scale * (x, -y)."""
    figure: Figure
    scale: float
    origin: np.ndarray

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Convert metres (..., 3) to pixels (..., 2)."""
        points = np.asarray(points)
        return self.origin + self.scale * points[..., :2] * [1, -1]

    def joints(self, names: tuple[str, ...]) -> np.ndarray:
        """Return the pixel positions of the named joints, shape (K, 2)."""
        return self.pixels(np.array([self.figure.joints[n] for n in names]))

    def head_box(self) -> np.ndarray:
        """Return upper left and lower right corner of the head, (2, 2)."""
        reach = self.scale * head_reach(self.figure.head_axes)
        centre = self.pixels(self.figure.head)
        return np.array([centre - reach, centre + reach])

    def seen(self, names: tuple[str, ...]) -> np.ndarray:
        """Return which joints the figure does not hide itself, shape (K,)."""
        return np.array([_seen(self.figure, name) for name in names])

    def paint(self, image: np.ndarray, light: np.ndarray) -> np.ndarray:
        """Paint it in place; return its coverage, 0 to 1, shape (H, W)."""
        figure, mask = self.figure, np.zeros(image.shape[:2], np.float32)
        todo = [(part.points[:, 2].mean() + part.bias, part)
                for part in figure.parts]
        todo.append((figure.head[2] + 0.03, None))
        for _, part in sorted(todo, key=lambda item: item[0]):
            if part is None:
                self._paint_head(image, mask, light)
            elif len(part.points) == 2:
                self._paint_limb(image, mask, light, part)
            else:
                self._paint_trunk(image, mask, light, part)
        return mask

    def _paint_limb(self, image, mask, light, part):
        a, b = self.pixels(part.points)
        ra, rb = (self.scale * r for r in part.radii)
        box = box_around(np.array([a, b]), max(ra, rb), image.shape)
        if box is None:
            return
        distance, t, radius = capsule_distance(box, a, b, ra, rb)
        length = float(np.linalg.norm(part.points[1] - part.points[0]))
        x, y = box.grid()
        axis = (b - a) / max(np.hypot(*(b - a)), 1e-6)
        v = ((y - a[1]) * axis[0] - (x - a[0]) * axis[1]) / self.scale
        colour = part.material.paint(t * length, v, self.scale)
        _lay(image, mask, box, distance, radius, light, colour)

    def _paint_trunk(self, image, mask, light, part):
        corners = self.pixels(part.points)
        radius = self.scale * part.radii[0]
        box = box_around(corners, radius, image.shape)
        if box is None:
            return
        distance = hull_distance(box, corners, radius)
        x, y = box.grid()
        top, bottom = corners[:2].mean(0), corners[2:].mean(0)
        axis = (bottom - top) / max(np.hypot(*(bottom - top)), 1e-6)
        u = ((x - top[0]) * axis[0] + (y - top[1]) * axis[1]) / self.scale
        v = ((y - top[1]) * axis[0] - (x - top[0]) * axis[1]) / self.scale
        colour = part.material.paint(u, v, self.scale)
        _lay(image, mask, box, distance, 1.3 * radius, light, colour)
        if part.name == 'chest':
            self._paint_front(image, part, light)

    def _paint_front(self, image, part, light):
        """Paint the front of a shirt, which tells front from back."""
        left, right, low_right, low_left = part.points
        up = (left + right) - (low_left + low_right)
        forward = np.cross(left - right, up)
        forward /= np.linalg.norm(forward)
        if forward[2] < 0.1:
            return
        lift = forward * part.radii[0]
        top, bottom = (left + right) / 2 + lift, (low_left +
                                                  low_right) / 2 + lift
        look, width = self.figure.look, 0.014
        lines = [(top, bottom)]
        if look['front'] == 'collar':
            middle, width = 0.75 * top + 0.25 * bottom, 0.022
            lines = [(0.6 * end + 0.4 * top + up * 0.06, middle)
                     for end in (left + lift, right + lift)]
        elif look['front'] == 'print':
            lines, width = [(0.65 * top + 0.35 * bottom, ) * 2], 0.055
        for a, b in lines:
            a, b = self.pixels(np.array([a, b]))
            # Seen at an angle, what lies on the chest is narrower.
            radius = self.scale * width * max(forward[2], 0.3)
            box = box_around(np.array([a, b]), radius, image.shape)
            if box is not None:
                distance = capsule_distance(box, a, b, radius, radius)[0]
                blend(image, box, coverage(distance), look['trim'])

    def _paint_head(self, image, mask, light):
        figure, scale = self.figure, self.scale
        # An ear on the far side is painted before the head, else after it.
        ears = sorted((figure.joints[f'{side}_ear'] for side, _ in SIDES),
                      key=lambda p: p[2])
        for ear in ears:
            if ear[2] < figure.head[2]:
                self._paint_ball(image, mask, light, ear, 0.022)
        centre = self.pixels(figure.head)
        box = box_around(centre[None], scale * HEAD.max(), image.shape)
        if box is not None:
            self._paint_face(image, mask, light, box, centre)
        for ear in ears:
            if ear[2] >= figure.head[2]:
                self._paint_ball(image, mask, light, ear, 0.022)
        # The nose sticks out, so that a profile shows where it points.
        nose = figure.joints['nose']
        if nose[2] > figure.head[2] - 0.02:
            self._paint_ball(image, mask, light,
                             0.9 * nose + 0.1 * figure.head, 0.017)

    def _paint_ball(self, image, mask, light, where, radius):
        point, radius = self.pixels(where), radius * self.scale
        box = box_around(point[None], radius, image.shape)
        if box is not None:
            distance, _, _ = capsule_distance(box, point, point, radius,
                                              radius)
            colour = self.figure.look['skin'].colour * np.float32(0.93)
            _lay(image, mask, box, distance, radius, light, colour)

    def _paint_face(self, image, mask, light, box, centre):
        """Cast a ray per pixel at the head's ellipsoid."""
        axes, look = self.figure.head_axes, self.figure.look
        form = (axes / HEAD**2) @ axes.T
        x, y = box.grid()
        x = np.broadcast_to((x - centre[0]) / self.scale, (y.size, x.size))
        y = np.broadcast_to((centre[1] - y) / self.scale, x.shape)
        half = form[0, 2] * x + form[1, 2] * y
        rest = form[0, 0] * x**2 + 2 * form[0, 1] * x * y + \
            form[1, 1] * y**2 - 1
        disc = half**2 - form[2, 2] * rest
        if min(disc.shape) < 2:
            return
        gy, gx = np.gradient(disc)
        alpha = np.clip(0.5 + disc / np.maximum(np.hypot(gx, gy), 1e-6), 0, 1)
        z = (np.sqrt(np.maximum(disc, 0)) - half) / form[2, 2]
        point = np.stack([x, y, z], -1)
        normal = point @ form
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True),
                             1e-6)
        dot = normal @ (light * [1, -1, 1])
        shade = 0.5 + 0.6 * np.clip(dot, 0, 1)
        # Position on the unit sphere: across, up, forward.
        across, up, forward = np.moveaxis(point @ axes / HEAD, -1, 0)
        sharp = self.scale * HEAD[0]
        colour = np.broadcast_to(look['skin'].colour, (*x.shape, 3))

        def spot(colour, inside, tint):
            edge = np.clip(0.5 + inside * sharp, 0, 1)[..., None]
            return colour + edge * (np.asarray(tint) - colour)

        for side in ('left_eye', 'right_eye'):
            ex, ey, ez = FACE[side]
            away = np.sqrt((0.8 * (across - ex))**2 + (1.3 * (up - ey))**2 +
                           (forward - ez)**2)
            colour = spot(colour, 0.21 - away, (235, 235, 235))
            colour = spot(colour, 0.12 - away, (30, 25, 20))
            colour = spot(colour, np.minimum(0.05 - np.abs(up - ey - 0.3),
                                             0.25 - away + 0.3 *
                                             np.abs(up - ey)), look['hair'])
        mouth = np.minimum(0.06 - np.abs(up + 0.52), 0.3 - np.abs(across))
        colour = spot(colour, np.minimum(mouth, forward), (70, 60, 150))
        cover = look['hair'] if look['cap'] is None else look['cap']
        if not look['bald'] or look['cap'] is not None:
            line = np.maximum(up - 0.52, np.minimum(-0.15 - forward + 0.55 *
                                                    np.maximum(up, 0),
                                                    up + 0.75))
            colour = spot(colour, line, cover)
        blend(image, box, alpha, shade[..., None] * colour)
        np.maximum(mask[box.slices], alpha, out=mask[box.slices])


def _lay(image, mask, box: Box, distance, radius, light, colour):
    alpha = coverage(distance).astype(np.float32)
    shade = round_shade(distance, radius, light)[..., None]
    blend(image, box, alpha, shade * colour)
    np.maximum(mask[box.slices], alpha, out=mask[box.slices])


# The parts a joint lies in: they do not hide it.
_OWN = dict(
    shoulder=('upper_arm', ), elbow=('upper_arm', 'forearm'),
    wrist=('forearm', 'hand'), hip=('thigh', ), knee=('thigh', 'shin'),
    ankle=('shin', 'foot'))


def _seen(figure: Figure, name: str) -> bool:
    """Return whether no other part of the body hides the joint."""
    joint = figure.joints[name]
    side, _, what = name.partition('_')
    own = {f'{side}_{part}' for part in _OWN.get(what, ())}
    if name in FACE:
        outward = figure.head_axes @ (HEAD * FACE[name])
        # An ear or a nose shows past the rim of the head, an eye does not.
        if outward[2] < (0.005 if 'eye' in name else -0.03):
            return False
        own = {'hair', 'neck'}
    for part in figure.parts:
        if part.name not in own and _depth_before(part, joint) > HIDING_DEPTH:
            return False
    if name in FACE or name in ('upper_neck', 'head_top'):
        return True
    reach = head_reach(figure.head_axes)
    away = (joint - figure.head)[:2] / reach
    return not (away @ away < 1 and figure.head[2] > joint[2])


def _depth_before(part: Part, joint: np.ndarray) -> float:
    """Return how far a part's surface is before the joint, or -inf."""
    x, y, z = joint.tolist()
    ends = [part.points]
    if len(part.points) == 4:
        # A trunk is a row of rods between its left and its right edge.
        left, right = part.points[[0, 3]], part.points[[1, 2]]
        ends = [left + t * (right - left) for t in np.linspace(0, 1, 7)]
    best = -math.inf
    for a, b in ends:
        ax, ay, az = a.tolist()
        bx, by, bz = b.tolist()
        # Scalars: a thousand of these are asked for in every picture.
        t = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / max(
            (bx - ax)**2 + (by - ay)**2, 1e-9)
        t = min(max(t, 0.0), 1.0)
        radius = part.radii[0] + t * (part.radii[1] - part.radii[0])
        inside = radius**2 - (x - ax - t * (bx - ax))**2 - \
            (y - ay - t * (by - ay))**2
        if inside > 0:
            best = max(best, az + t * (bz - az) + math.sqrt(inside) - z)
    return best
