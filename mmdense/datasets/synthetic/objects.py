"""Things of VOC's twenty classes, drawn from a few strokes each.

A class is told by its shape; its colours and patterns are random, except that
windows, tyres and screens are dark. Strokes live in a box from -1 to 1, x to
the right and y down, with the ground at y = 1. A person is an articulated
figure of :mod:`mmdense.datasets.synthetic.figure`.
"""
from collections.abc import Sequence

import numpy as np

from mmdense.datasets.synthetic.figure import random_figure
from mmdense.datasets.synthetic.painting import (
    Material,
    background,
    blend,
    box_around,
    capsule_distance,
    coverage,
    finish,
    hull_distance,
    random_clutter,
    random_light,
    random_material,
    round_shade,
)
from mmdense.datasets.synthetic.placed import Placed

VOC_CLASSES = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car',
               'cat', 'chair', 'cow', 'diningtable', 'dog', 'horse',
               'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
               'tvmonitor')


def _rod(a, b, radius, end=None, ink='body'):
    """Return a stroke from a to b."""
    return ('rod', (a, b), (radius, radius if end is None else end), ink)


def _disc(centre, radius, ink='body'):
    return ('rod', (centre, centre), (radius, radius), ink)


def _ring(centre, radius, width, ink='dark'):
    return ('ring', (centre, centre), (radius, width), ink)


def _hull(points, radius=0.03, ink='body'):
    """Return the convex hull of points with rounded corners."""
    return ('hull', points, (radius, radius), ink)


def _bar(x1, y1, x2, y2, ink='body', radius=0.03):
    return _hull(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), radius, ink)


def _legs(xs, top, radius, ink='body'):
    return [_rod((x, top), (x, 1 - radius), radius, ink=ink) for x in xs]


def _wheels(xs, radius):
    return [
        stroke for x in xs for stroke in (_disc((x, 1 - radius), radius,
                                                'dark'),
                                          _disc((x, 1 - radius), radius / 2,
                                                'pale'))
    ]


STROKES = dict(
    aeroplane=[
        _hull(((-.9, -.05), (-.7, -.05), (-.85, -.5), (-.98, -.5)),
              ink='trim'),
        _rod((-.85, 0), (.8, .05), .1, .14),
        _hull(((-.15, .05), (.25, .05), (-.25, .62), (-.45, .62)),
              ink='trim'),
        *[_disc((x, -.02), .035, 'dark') for x in (-.4, -.2, 0, .2, .4)],
        _hull(((.72, -.06), (.9, -.02), (.9, .04), (.72, .02)), ink='dark')
    ],
    bicycle=[
        _ring((-.58, .58), .37, .045), _ring((.58, .58), .37, .045),
        _rod((-.58, .58), (-.25, 0), .04), _rod((-.25, 0), (.4, 0), .04),
        _rod((-.25, 0), (0, .55), .04), _rod((0, .55), (.4, 0), .04),
        _rod((0, .55), (-.58, .58), .04), _rod((.35, -.2), (.58, .58), .04),
        _rod((.35, -.2), (.55, -.28), .045, ink='dark'),
        _rod((-.42, -.14), (-.15, -.14), .06, ink='dark')
    ],
    bird=[
        _rod((.08, .5), (.08, .95), .03, ink='pale'),
        _rod((-.1, .5), (-.1, .95), .03, ink='pale'),
        _hull(((-.95, .35), (-.9, .15), (-.3, .2)), ink='trim'),
        _rod((-.25, .25), (.25, .1), .28, .3), _disc((.55, -.35), .22),
        _rod((.3, 0), (.5, -.3), .2),
        _hull(((.72, -.42), (.72, -.28), (1, -.3)), .02, 'pale'),
        _disc((.6, -.4), .04, 'dark'),
        _hull(((-.5, .35), (.2, .3), (.25, 0), (-.1, 0)), ink='trim')
    ],
    boat=[
        _rod((0, .55), (0, -.95), .03, ink='dark'),
        _hull(((.06, -.9), (.06, .35), (.7, .35)), ink='trim'),
        _hull(((-.06, -.7), (-.06, .35), (-.5, .35)), ink='pale'),
        _hull(((-.95, .5), (.95, .5), (.65, .95), (-.7, .95)))
    ],
    bottle=[
        _rod((0, -.15), (0, .74), .24), _rod((0, -.8), (0, -.2), .09, .12),
        _bar(-.09, -.95, .09, -.84, 'dark'), _bar(-.21, .15, .21, .6, 'trim')
    ],
    bus=[
        _bar(-.95, -.7, .95, .75), _bar(-.92, .35, .92, .45, 'trim'),
        *[_bar(x, -.5, x + .3, -.05, 'dark') for x in (-.85, -.45, -.05)],
        _bar(.4, -.5, .62, .68, 'pale'), _bar(.7, -.5, .93, .05, 'dark'),
        *_wheels((-.55, .6), .2)
    ],
    car=[
        _hull(((-.5, .25), (-.25, -.2), (.3, -.2), (.6, .25)), .05),
        _hull(((-.4, .2), (-.22, -.12), (.02, -.12), (.02, .2)), .02, 'dark'),
        _hull(((.1, .2), (.1, -.12), (.27, -.12), (.47, .2)), .02, 'dark'),
        _hull(((-.92, .25), (.75, .25), (.93, .42), (.93, .75), (-.92, .75)),
              .06), _disc((.88, .45), .06, 'pale'),
        *_wheels((-.52, .55), .25)
    ],
    cat=[
        _rod((-.45, .7), (-.85, .5), .07), _rod((-.85, .5), (-.8, -.1), .07),
        _rod((-.1, .62), (.05, .1), .34, .26), _disc((.25, -.35), .33),
        _hull(((-.05, -.5), (.2, -.62), (-.02, -.93)), .02, 'trim'),
        _hull(((.3, -.62), (.55, -.5), (.52, -.93)), .02, 'trim'),
        _disc((.13, -.38), .06, 'pale'), _disc((.38, -.38), .06, 'pale'),
        _disc((.13, -.38), .03, 'dark'), _disc((.38, -.38), .03, 'dark'),
        *_legs((.05, .25), .4, .09)
    ],
    chair=[
        _bar(-.55, -.95, -.4, .95), _bar(.4, .05, .52, .95),
        _bar(-.3, .1, -.2, .85, 'trim'), _bar(-.55, -.02, .6, .14),
        _bar(-.5, -.9, -.3, -.1, 'trim')
    ],
    cow=[
        *_legs((-.6, -.42, .3, .48), .2, .075),
        _hull(((-.65, -.3), (.45, -.3), (.45, .3), (-.65, .3)), .12),
        _disc((-.3, -.1), .2, 'trim'), _disc((.2, .12), .16, 'trim'),
        _rod((-.75, -.3), (-.85, .35), .03), _rod((.5, -.3), (.65, -.5), .17),
        _rod((.68, -.5), (.86, -.25), .15, .1),
        _disc((.85, -.24), .09, 'pale'), _disc((.72, -.53), .035, 'dark'),
        _rod((.58, -.62), (.5, -.88), .04, .02, 'pale'),
        _rod((.72, -.65), (.78, -.9), .04, .02, 'pale'),
        _disc((-.15, .43), .09, 'pale')
    ],
    diningtable=[
        _bar(-.75, .1, -.65, .95, 'trim'), _bar(.65, .1, .75, .95, 'trim'),
        _bar(-.4, .05, -.32, .7, 'trim'), _bar(.32, .05, .4, .7, 'trim'),
        _hull(((-.95, .1), (-.6, -.2), (.6, -.2), (.95, .1)), .05),
        _disc((-.2, -.05), .1, 'pale'), _disc((.3, -.02), .1, 'pale')
    ],
    dog=[
        *_legs((-.55, -.38, .25, .42), .3, .075),
        _rod((-.5, .1), (.35, .05), .22, .26),
        _rod((-.65, 0), (-.9, -.4), .06),
        _rod((.4, 0), (.55, -.35), .2), _disc((.58, -.42), .23),
        _rod((.68, -.36), (.9, -.3), .13, .1), _disc((.96, -.34), .06, 'dark'),
        _rod((.45, -.5), (.36, -.2), .09, .1, 'trim'),
        _disc((.68, -.5), .035, 'dark')
    ],
    horse=[
        *_legs((-.52, -.38, .28, .42), .2, .055),
        _rod((-.6, -.1), (-.8, .5), .09, .05, 'trim'),
        _rod((-.4, 0), (.3, 0), .21), _rod((.35, -.05), (.62, -.65), .17, .11),
        _rod((.2, -.25), (.55, -.78), .07, ink='trim'),
        _rod((.62, -.72), (.88, -.45), .12, .08),
        _hull(((.52, -.8), (.62, -.8), (.56, -.97)), .01),
        _disc((.68, -.7), .03, 'dark')
    ],
    motorbike=[
        _ring((-.6, .62), .27, .1), _ring((.62, .62), .27, .1),
        _disc((0, .5), .22, 'pale'),
        _rod((-.6, .62), (0, .55), .05, ink='trim'),
        _rod((.32, -.15), (.62, .62), .06, ink='pale'),
        _rod((-.1, .12), (.25, .05), .17), _rod((-.65, .1), (-.2, .12), .09,
                                                 ink='dark'),
        _rod((.32, -.2), (.12, -.35), .045, ink='dark'),
        _disc((.42, -.05), .09, 'pale')
    ],
    pottedplant=[
        *[_rod((0, .3), (.75 * np.sin(a), .25 - 1.1 * np.cos(a)), .05, .13,
               'leaf') for a in (-1.1, -.6, -.15, .3, .75, 1.2)],
        _hull(((-.35, .35), (.35, .35), (.24, .95), (-.24, .95))),
        _bar(-.4, .28, .4, .4, 'trim')
    ],
    sheep=[
        *_legs((-.45, -.3, .2, .36), .3, .065, 'dark'),
        *[_disc((.5 * np.cos(a) - .1, .12 + .26 * np.sin(a)), .2)
          for a in np.linspace(0, 2 * np.pi, 10, endpoint=False)],
        _rod((-.4, .12), (.2, .12), .25),
        _rod((.52, -.2), (.78, .05), .17, .11, 'dark'),
        _rod((.5, -.3), (.36, -.2), .06, ink='dark'), _disc((.55, -.3), .15)
    ],
    sofa=[
        *_legs((-.8, .8), .7, .06, 'dark'),
        _bar(-.8, -.45, .8, .3, radius=.1), _bar(-.75, .2, -.03, .45, 'trim',
                                                 .06),
        _bar(.03, .2, .75, .45, 'trim', .06), _bar(-.85, .45, .85, .75),
        _bar(-.93, -.02, -.75, .78, radius=.06),
        _bar(.75, -.02, .93, .78, radius=.06)
    ],
    train=[
        _hull(((-.97, -.35), (.6, -.35), (.97, .35), (.97, .8), (-.97, .8))),
        _bar(-.95, .3, .8, .42, 'trim'),
        *[_bar(x, -.2, x + .18, .12, 'dark') for x in (-.9, -.62, -.34, -.06,
                                                      .22)],
        _hull(((.5, -.22), (.62, -.22), (.78, .12), (.5, .12)), .02, 'dark'),
        *_wheels((-.8, -.55, -.3, .3, .55, .8), .12),
        _rod((-.5, -.42), (.1, -.42), .05, ink='pale')
    ],
    tvmonitor=[
        _bar(-.06, .5, .06, .85, 'pale'), _bar(-.4, .85, .4, .93, 'pale'),
        _bar(-.9, -.8, .9, .55), _bar(-.78, -.68, .78, .42, 'dark'),
        _hull(((-.7, -.6), (-.35, -.6), (-.7, .1)), .01, 'glare')
    ])
# clutter: things of no class behind the others; count: further things;
# noise: of the sensor.
DIFFICULTIES = dict(
    easy=dict(clutter=(0, 1), count=(0, 1), turn=0.05, noise=3.0),
    normal=dict(clutter=(0, 5), count=(0, 3), turn=0.15, noise=6.0),
    hard=dict(clutter=(3, 10), count=(2, 6), turn=0.4, noise=10.0))


def object_scene(
        rng: np.random.Generator, size: tuple[int, int], difficulty: str,
        index: int,
        classes: Sequence[str]) -> tuple[np.ndarray, list[tuple]]:
    """Draw one picture of things, some in front of others.

    Args:
        rng (np.random.Generator): Source of every choice but one class.
        size (tuple[int, int]): Height and width in pixels.
        difficulty (str): A key of ``DIFFICULTIES``.
        index (int): Runs the first thing through all classes in turn.
        classes (Sequence[str]): Names from ``VOC_CLASSES``.

    Returns:
        tuple[np.ndarray, list[tuple]]: The image, uint8 BGR (H, W, 3), and for
        every thing the position of its class in ``classes`` and its visible
        mask, bool (H, W), never empty.
    """
    level = DIFFICULTIES[difficulty]
    image, light = background(rng, size), random_light(rng)
    longest, shortest = max(size), min(size)
    for _ in range(rng.integers(*level['clutter'], endpoint=True)):
        random_clutter(rng, image, light, (0.06 * longest, 0.3 * longest))
    things, whole = [], []
    for k in range(1 + rng.integers(*level['count'], endpoint=True)):
        label = index % len(classes) if k == 0 else rng.integers(len(classes))
        reach = 0.5 * shortest * rng.uniform(0.5, 0.9) if k == 0 else \
            0.5 * shortest * 0.9 * 4.0**-rng.uniform(0.2, 1)
        for _ in range(4):
            centre = rng.uniform(0.6 * reach, np.array(size[::-1]) -
                                 0.6 * reach)
            canvas = image.copy()
            mask = _paint(rng, canvas, light, classes[label], centre, reach,
                          level['turn']) >= 0.5
            left = [visible & ~mask for _, visible in things]
            if mask.sum() >= 30 and _boxy(mask) and all(
                    _boxy(rest) and rest.sum() > 0.45 * area
                    for rest, area in zip(left, whole, strict=True)):
                image = canvas
                things = [(label_of, rest) for (label_of, _), rest in
                          zip(things, left, strict=True)]
                things.append((int(label), mask))
                whole.append(mask.sum())
                break
    return finish(rng, image, level['noise'] * rng.uniform(0.3, 1)), things


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return first and last column and row: x1, y1, x2, y2, inclusive."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _boxy(mask):
    if not mask.any():
        return False
    x1, y1, x2, y2 = mask_box(mask)
    return x2 - x1 >= 3 and y2 - y1 >= 3


def _paint(rng, image, light, name, centre, reach, turn):
    """Paint a thing into the image; return its coverage, (H, W)."""
    if name == 'person':
        figure = random_figure(rng, ('stand', 'walk', 'raise', 'hips', 'sit'),
                               rng.uniform(-np.pi, np.pi), rng.normal(0, turn))
        low, high = figure.extent()
        scale = 2 * reach / (high - low).max()
        origin = centre - scale * (low + high) / 2 * [1, -1]
        return Placed(figure, float(scale), origin).paint(image, light)
    dark, pale = rng.uniform(15, 55), rng.uniform(150, 250)
    leaf = np.array([rng.uniform(20, 80), rng.uniform(90, 200),
                     rng.uniform(20, 110)], np.float32)
    inks = dict(
        body=random_material(rng, (0.08, 0.4)),
        trim=random_material(rng, (0.08, 0.3)),
        leaf=Material(leaf, leaf * 0.6, 'weave', 0.15),
        **{
            key: Material(tone, tone) for key, tone in dict(
                dark=np.full(3, dark, np.float32) + rng.uniform(0, 20, 3),
                pale=np.full(3, pale, np.float32) - rng.uniform(0, 30, 3),
                glare=np.full(3, dark + 40, np.float32)).items()
        })
    angle = rng.normal(0, turn)
    turned = np.array([[np.cos(angle), -np.sin(angle)],
                       [np.sin(angle), np.cos(angle)]])
    stretch = np.array([rng.choice([-1, 1]) * rng.uniform(0.85, 1),
                        rng.uniform(0.85, 1)])
    mask = np.zeros(image.shape[:2], np.float32)
    # Strokes shift a little, so that no two things are equal.
    for kind, points, radii, ink in STROKES[name]:
        points = np.array(points) + rng.normal(0, 0.012, 2)
        points = centre + reach * (points * stretch) @ turned.T
        wide, narrow = (reach * r for r in radii)
        box = box_around(points, max(wide, narrow) + 1 +
                         (narrow if kind == 'ring' else 0), image.shape)
        if box is None:
            continue
        if kind == 'hull':
            distance, depth = hull_distance(box, points, wide), 4 * wide
        elif kind == 'ring':
            away, _, _ = capsule_distance(box, points[0], points[0], 0, 0)
            distance, depth = np.abs(away - wide) - narrow, narrow
        else:
            distance, _, depth = capsule_distance(box, *points, wide, narrow)
        x, y = box.grid()
        u, v = (y - centre[1]) / reach, (x - centre[0]) / reach
        colour = inks[ink].paint(*np.broadcast_arrays(u, v), reach)
        alpha = coverage(distance).astype(np.float32)
        shade = round_shade(distance, depth, light)[..., None]
        blend(image, box, alpha, shade * colour)
        np.maximum(mask[box.slices], alpha, out=mask[box.slices])
    return mask


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Check ``classes`` and return them as a tuple.

    Raises:
        ValueError: If a class is unknown or named twice, or there is none.
    """
    if not isinstance(classes, tuple | list):
        raise ValueError(
            f'classes must be a list of names, got {classes!r}')
    classes = tuple(classes)
    unknown = sorted(set(classes) - set(VOC_CLASSES))
    if unknown or not classes or len(set(classes)) < len(classes):
        raise ValueError('classes must be different names from '
                         f'{", ".join(VOC_CLASSES)}, got '
                         f'{", ".join(unknown or classes) or "none"}')
    return classes

