"""Articulated figures: a skeleton in three dimensions, in a pose.

Lengths are in metres and angles in radians until a figure is placed in an
image. The axes of the body are x to *its own* left, y up, z forward; seen
from the front, its left is on the right of the picture. Nothing in colour
says which side is which: left and right follow from where the face, the chest
and the toes point, as they do for people.
"""
from dataclasses import dataclass, field

import numpy as np

from mmdense.datasets.synthetic.painting import (
    Material,
    random_colour,
    random_material,
)

COCO_JOINTS = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear',
               'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
               'left_wrist', 'right_wrist', 'left_hip', 'right_hip',
               'left_knee', 'right_knee', 'left_ankle', 'right_ankle')
# Pairs of joints, counted from 1 as COCO's category entry counts them.
COCO_SKELETON = ((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12),
                 (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11), (2, 3),
                 (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7))
MPII_JOINTS = ('right_ankle', 'right_knee', 'right_hip', 'left_hip',
               'left_knee', 'left_ankle', 'pelvis', 'thorax', 'upper_neck',
               'head_top', 'right_wrist', 'right_elbow', 'right_shoulder',
               'left_shoulder', 'left_elbow', 'left_wrist')
SIDES = (('left', 1.0), ('right', -1.0))
# Semi-axes of the head: across, up, forward.
HEAD = np.array([0.080, 0.118, 0.098])
# Directions of the face's joints on the unit sphere of the head.
FACE = dict(
    nose=(0.0, -0.12, 1.18),
    left_eye=(0.38, 0.10, 0.90),
    right_eye=(-0.38, 0.10, 0.90),
    left_ear=(1.04, -0.02, -0.05),
    right_ear=(-1.04, -0.02, -0.05))


def rotation(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Return the rotation about z after y after x, shape (3, 3)."""
    cx, sx, cy, sy, cz, sz = (f(a) for a in (x, y, z)
                              for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@dataclass
class Part:
    """A tapered limb from ``a`` to ``b``, or a hull when there are more."""
    name: str
    points: np.ndarray
    radii: tuple[float, float]
    material: Material
    # Added to its mean depth when parts are put in painting order.
    bias: float = 0.0


@dataclass
class Figure:
    """A posed person in viewer's axes: right, up, towards the viewer.

    Attributes:
        joints (dict[str, np.ndarray]): Every COCO and MPII joint, (3,).
        parts (list[Part]): Parts to paint, in any order.
        head (np.ndarray): Centre of the head, shape (3,).
        head_axes (np.ndarray): Rotation of the head, shape (3, 3).
    """
    joints: dict = field(default_factory=dict)
    parts: list = field(default_factory=list)
    head: np.ndarray | None = None
    head_axes: np.ndarray | None = None
    look: dict = field(default_factory=dict)

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lower left and upper right corner of the silhouette in m."""
        low, high = [], []
        for part in self.parts:
            reach = max(part.radii)
            low.append(part.points[:, :2].min(0) - reach)
            high.append(part.points[:, :2].max(0) + reach)
        reach = head_reach(self.head_axes)
        low.append(self.head[:2] - reach)
        high.append(self.head[:2] + reach)
        return np.min(low, 0), np.max(high, 0)


def head_reach(axes: np.ndarray) -> np.ndarray:
    """Return half width and half height of the turned head, shape (2,)."""
    return np.sqrt(((axes * HEAD)[:2]**2).sum(1))


def _arms_and_legs(rng: np.random.Generator, kind: str) -> dict:
    """Draw the joint angles of a pose; some hold (left, right).

    ``lift`` is sideways, ``swing`` forward, ``turn`` inward about the limb,
    ``bend`` the elbow or knee.
    """

    def both(low, high):
        return rng.uniform(low, high, 2)

    pose = dict(
        arm_lift=both(0.05, 0.35), arm_swing=both(-.3, .4),
        arm_turn=both(0, .8), elbow=both(0.05, 0.7),
        leg_lift=both(0.0, 0.2), leg_swing=both(-.15, .2),
        knee=both(0, 0.25), lean=rng.uniform(-.05, .12))
    if kind == 'walk':
        stride = rng.uniform(0.25, 0.9) * rng.choice([-1, 1])
        pose.update(
            leg_swing=np.array([stride, -0.7 * stride]) + both(-.1, .1),
            knee=np.array([max(-stride, 0), max(stride, 0)]) *
            rng.uniform(0.5, 1.5) + both(0.05, .4),
            arm_swing=np.array([-stride, stride]) + both(-.2, .2),
            elbow=both(0.1, 1.7), lean=rng.uniform(0, 0.3))
    elif kind == 'raise':
        up = both(1.2, 2.9)
        if rng.random() < 0.5:
            up[rng.integers(2)] = rng.uniform(0.1, 0.6)
        pose.update(arm_lift=up, elbow=both(0, 1.4), arm_turn=both(-.8, .8),
                    leg_lift=both(0.05, 0.5))
    elif kind == 'hips':
        pose.update(arm_lift=both(0.6, 0.9), arm_swing=both(-.4, 0),
                    arm_turn=both(1.2, 1.6), elbow=both(1.3, 1.7))
    elif kind == 'reach':
        pose.update(arm_swing=both(0.5, 1.7), elbow=both(0, 1.6))
    elif kind == 'sit':
        pose.update(leg_swing=both(1.1, 1.7), knee=both(1.0, 1.8),
                    leg_lift=both(0.02, 0.4), elbow=both(0.2, 1.4),
                    arm_swing=both(0, 0.8), lean=rng.uniform(-.15, 0.35))
    elif kind == 'crouch':
        pose.update(leg_swing=both(1.2, 2.0), knee=both(1.7, 2.4),
                    leg_lift=both(0.1, 0.6), lean=rng.uniform(0.2, 0.7),
                    arm_swing=both(0.2, 1.4), elbow=both(0, 1.5))
    elif kind == 'free':
        pose.update(arm_lift=both(0, 2.9), arm_swing=both(-.7, 2.2),
                    arm_turn=both(-1, 1.5), elbow=both(0, 2.3),
                    leg_lift=both(0, 0.9), leg_swing=both(-.6, 1.6),
                    knee=both(0, 1.9), lean=rng.uniform(-.3, .7))
    return pose


def _look(rng: np.random.Generator) -> dict:
    """Draw skin, hair and clothes, the same for both sides."""
    tone = rng.random()
    skin = np.array([165, 190, 235]) * (1 - tone) + np.array([35, 52, 80]) * \
        tone
    skin = (skin * rng.uniform(0.9, 1.08, 3)).astype(np.float32)
    hair = random_colour(rng) if rng.random() < 0.25 else (
        np.array([90, 150, 200]) * rng.random()**1.5 + 15).astype(np.float32)
    shirt, trousers = random_material(rng), random_material(rng)
    shoes = Material(*[random_colour(rng)] * 2)
    bare = Material(skin, skin * 0.85, 'weave', 0.05)

    def worn(material):
        """Return one limb's material, now and then that of another garment."""
        if rng.random() < 0.08:
            return random_material(rng)
        light = np.float32(rng.uniform(0.9, 1.1))
        return material._replace(
            colour=material.colour * light, second=material.second * light)

    long_sleeves, long_legs = rng.random() < 0.5, rng.random() < 0.65
    look = dict(skin=bare, hair=hair, shirt=shirt, trousers=trousers,
                trim=random_colour(rng), front=rng.choice(
                    ['zip', 'collar', 'print']),
                long_hair=rng.random() < 0.4, bald=rng.random() < 0.1,
                cap=random_colour(rng) if rng.random() < 0.15 else None)
    for side, _ in SIDES:
        look[f'{side}_upper_arm'] = worn(shirt)
        look[f'{side}_forearm'] = worn(shirt) if long_sleeves else bare
        look[f'{side}_thigh'] = worn(trousers)
        look[f'{side}_shin'] = worn(trousers) if long_legs else bare
        look[f'{side}_foot'] = worn(shoes)
    return look


def random_figure(rng: np.random.Generator, kinds: tuple[str, ...],
                  yaw: float, roll: float) -> Figure:
    """Draw a person of random build, clothes and pose.

    Args:
        rng (np.random.Generator): Source of every choice.
        kinds (tuple[str, ...]): Pose families to choose from: 'stand',
            'walk', 'raise', 'hips', 'reach', 'sit', 'crouch', 'free'.
        yaw (float): Direction it faces: 0 to the viewer, pi / 2 to the right
            of the picture.
        roll (float): Turn in the picture's plane, positive to the left.
    """
    pose = _arms_and_legs(rng, str(rng.choice(kinds)))
    look = _look(rng)
    # Proportions differ from person to person.
    size = rng.normal(1, 0.06, 6).clip(0.85, 1.15)
    girth = rng.uniform(0.85, 1.3)
    spine, arm, leg = 0.50 * size[0], 0.28 * size[1], 0.42 * size[2]
    shoulder, hip = 0.175 * size[3], 0.095 * size[4]
    pitch = rng.uniform(0.02, 0.3)
    base = rotation(z=roll) @ rotation(x=pitch) @ rotation(y=yaw)
    chest = base @ rotation(x=pose['lean'], y=rng.normal(0, .12),
                            z=rng.normal(0, .06))
    neck_axes = chest @ rotation(x=rng.normal(0.05, .12),
                                 y=rng.uniform(-.6, .6),
                                 z=rng.normal(0, .1))
    figure = Figure(look=look)
    joints, parts = figure.joints, figure.parts
    pelvis = np.zeros(3)
    thorax = pelvis + chest @ [0, spine, 0]
    neck = thorax + neck_axes @ [0, 0.09 * size[5], 0.02]
    figure.head_axes = neck_axes
    figure.head = neck + neck_axes @ [0, 0.085, 0.015]
    joints.update(pelvis=pelvis, thorax=thorax, upper_neck=neck,
                  head_top=figure.head + neck_axes @ [0, HEAD[1], 0])
    for name, direction in FACE.items():
        joints[name] = figure.head + neck_axes @ (HEAD * direction)

    def add(name, points, radii, material, bias=0.0):
        radii = tuple(girth * r for r in radii)
        parts.append(Part(name, np.array(points), radii, material, bias))

    waist = pelvis + chest @ [0, 0.3 * spine, 0]
    across = chest @ [1.0, 0, 0]
    hips_across = base @ [1.0, 0, 0]
    add('neck', [thorax + chest @ [0, -.03, 0], neck], (.048, .045),
        look['skin'], -0.04)
    top = thorax + chest @ [0, -.055, 0]
    add('pelvis', [waist + across * .085, waist - across * .085,
                   pelvis - hips_across * hip * .8,
                   pelvis + hips_across * hip * .8], (.078, .078),
        look['trousers'], 0.005)
    add('chest', [top + across * shoulder * .72, top - across * shoulder * .72,
                  waist - across * .082, waist + across * .082],
        (.078, .078), look['shirt'], 0.01)
    for index, (side, sign) in enumerate(SIDES):
        start = thorax + chest @ [sign * shoulder, -.02, 0]
        upper = chest @ rotation(x=-pose['arm_swing'][index]) @ rotation(
            z=sign * pose['arm_lift'][index]) @ rotation(
                y=-sign * pose['arm_turn'][index])
        elbow = start + upper @ [0, -arm, 0]
        lower = upper @ rotation(x=-pose['elbow'][index])
        wrist = elbow + lower @ [0, -.9 * arm, 0]
        hand = wrist + lower @ [0, -.09, 0]
        add(f'{side}_upper_arm', [start, elbow], (.056, .043),
            look[f'{side}_upper_arm'], 0.02)
        add(f'{side}_forearm', [elbow, wrist], (.042, .03),
            look[f'{side}_forearm'], 0.03)
        add(f'{side}_hand', [wrist, hand], (.03, .038), look['skin'], 0.03)
        top_leg = pelvis + hips_across * sign * hip
        thigh = base @ rotation(x=-pose['leg_swing'][index]) @ rotation(
            z=sign * pose['leg_lift'][index])
        knee = top_leg + thigh @ [0, -leg, 0]
        shin = thigh @ rotation(x=pose['knee'][index])
        ankle = knee + shin @ [0, -.97 * leg, 0]
        foot = shin @ rotation(x=rng.uniform(-.1, .5),
                               y=sign * rng.uniform(0, 0.5))
        heel = ankle + foot @ [0, -.035, -.03]
        toes = ankle + foot @ [0, -.05, 0.155]
        add(f'{side}_thigh', [top_leg, knee], (.083, .058),
            look[f'{side}_thigh'])
        add(f'{side}_shin', [knee, ankle], (.056, .038), look[f'{side}_shin'])
        add(f'{side}_foot', [heel, toes], (.042, .036), look[f'{side}_foot'],
            0.02)
        joints.update({
            f'{side}_shoulder': start, f'{side}_elbow': elbow,
            f'{side}_wrist': wrist, f'{side}_hip': top_leg,
            f'{side}_knee': knee, f'{side}_ankle': ankle})
    if look['long_hair'] and not look['bald']:
        back = figure.head + neck_axes @ [0, 0.02, -.045]
        end = back + neck_axes @ [0, -.17, -.035]
        parts.append(Part('hair', np.array([back, end]), (.075, .07),
                          Material(look['hair'], look['hair'] * .7, 'stripes',
                                   0.02), 0.0))
    return figure
