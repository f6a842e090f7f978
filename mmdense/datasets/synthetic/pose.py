"""Synthetic people with joints, as COCO and as MPII annotations.

The folder of a set::

    images/00000001.jpg ...              train; images/01000001.jpg ... val
    annotations/person_keypoints_{train,val}.json   COCO, 17 joints
    annotations/mpii_{train,val}.json               MPII, 16 joints
    annotations/mpii_gt_val.mat                     MPII's head boxes

Both descriptions are of the same people. COCO coordinates count pixel centres
from 0; MPII's count from 1, as that format does.
"""
import io
import os
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from mmdense.datasets.synthetic.coco import coco_content
from mmdense.datasets.synthetic.figure import (
    COCO_JOINTS,
    COCO_SKELETON,
    MPII_JOINTS,
    random_figure,
)
from mmdense.datasets.synthetic.painting import (
    background,
    finish,
    random_clutter,
    random_light,
)
from mmdense.datasets.synthetic.placed import Placed
from mmdense.datasets.writing import (
    make_set,
    run_lengths,
    sample_name,
    sample_rng,
    write_bytes,
    write_jpeg,
    write_json,
)

UPRIGHT = ('stand', 'walk', 'raise', 'hips', 'reach')
# clutter: things behind the people; hide: chance of a thing before a person;
# others: chances of 0, 1, 2 further people; roll: spread of the in-plane turn;
# cut: chance that the picture's border cuts a person; noise: of the sensor.
DIFFICULTIES = dict(
    easy=dict(
        kinds=UPRIGHT, clutter=(0, 4), hide=0.05, others=(0.92, 0.08, 0.0),
        roll=0.06, cut=0.0, noise=3.0),
    normal=dict(
        kinds=(*UPRIGHT, 'sit', 'crouch', 'free'), clutter=(2, 10), hide=0.35,
        others=(0.6, 0.3, 0.1), roll=0.2, cut=0.12, noise=6.0),
    hard=dict(
        kinds=('walk', 'raise', 'reach', 'sit', 'crouch', 'free', 'free'),
        clutter=(6, 18), hide=0.7, others=(0.3, 0.4, 0.3), roll=0.9, cut=0.3,
        noise=10.0))
# The largest person of a set is about this many times as long as the
# smallest.
SIZE_RANGE = 5.0


def make_pose_set(out: str | os.PathLike, train: int = 1000, val: int = 200,
                  size: tuple[int, int] = (256, 192), seed: int = 0,
                  difficulty: str = 'normal',
                  workers: int | None = None) -> Path:
    """Write a set of people with joints, or find it already written.

    Args:
        out (str | os.PathLike): Folder of the set.
        train (int): Number of training images.
        val (int): Number of validation images.
        size (tuple[int, int]): Height and width of the images in pixels.
        seed (int): The same seed gives the same bytes.
        difficulty (str): 'easy' (one upright person, seldom hidden),
            'normal' or 'hard'.
        workers (int, optional): Processes; one a core if None.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If an argument is out of range, or the folder holds
            anything other than this set.
    """
    return make_set(out, 'pose', _draw, DIFFICULTIES, train, val, size, seed,
                    difficulty, workers, finish=_describe)


def _draw(size, seed, difficulty, out, split, index):
    rng = sample_rng(seed, split, index)
    image, people = pose_scene(rng, size, difficulty, index)
    name = sample_name(split, index)
    write_jpeg(out / 'images' / f'{name}.jpg', image)
    return dict(name=name, size=list(size), instances=people)


def pose_scene(rng: np.random.Generator, size: tuple[int, int],
               difficulty: str,
               index: int) -> tuple[np.ndarray, list[dict]]:
    """Draw one picture of people.

    Args:
        rng (np.random.Generator): Source of every choice but the size.
        size (tuple[int, int]): Height and width in pixels.
        difficulty (str): A key of ``DIFFICULTIES``.
        index (int): Spreads the sizes of the first persons evenly over a set.

    Returns:
        tuple[np.ndarray, list[dict]]: The image, uint8 BGR (H, W, 3), and one
        record a person: ``box`` (x, y, w, h), ``area``, ``mask`` (run lengths
        of what is visible), ``coco`` (17, 3) with x, y, visibility, ``mpii``
        (16, 3) with x, y, 0 or 1 and ``head`` ((x1, y1), (x2, y2)), all
        counted from 0.
    """
    level = DIFFICULTIES[difficulty]
    image, light = background(rng, size), random_light(rng)
    longest = max(size)
    for _ in range(rng.integers(*level['clutter'], endpoint=True)):
        random_clutter(rng, image, light, (0.08 * longest, 0.5 * longest))
    # Multiples of the golden section fill an interval evenly.
    small = ((index * 0.6180339887 + 0.5) % 1)**1.4
    people = [_place(rng, size, level, small)]
    for _ in range(rng.choice(3, p=level['others'])):
        # People may overlap; two in one place nobody could tell apart.
        for _ in range(6):
            other = _place(rng, size, level, small + rng.uniform(-.3, .3))
            if not any(_same_place(other, person) for person in people):
                people.append(other)
                break
    covers = []
    for k in rng.permutation(len(people)):
        covers.append((k, people[k].paint(image, light)))
    for k, mask in list(covers):
        if rng.random() < level['hide']:
            _hide(rng, image, light, people[k], mask, covers)
    records = [
        describe_person(people[k], mask, [m for _, m in covers[i + 1:]])
        for i, (k, mask) in enumerate(covers) if k is not None
    ]
    records = [record for record in records if record is not None]
    return finish(rng, image, level['noise'] * rng.uniform(0.3, 1)), records


def _place(rng, size, level, small) -> Placed:
    """Place a person of a size from the picture (``small`` 0) to 1/5 (1)."""
    front = rng.random() < 0.7
    yaw = rng.normal(0, 0.7) if front else rng.normal(np.pi, 0.7)
    if level['kinds'] is not UPRIGHT and rng.random() < 0.4:
        yaw = rng.uniform(-np.pi, np.pi)
    figure = random_figure(rng, level['kinds'], yaw,
                           rng.normal(0, level['roll']))
    low, high = figure.extent()
    extent = high - low
    room = np.array(size[::-1], float)
    scale = 0.96 * (room / extent).min() * SIZE_RANGE**-np.clip(small, 0, 1)
    middle, slack = scale * (low + high) / 2 * [1, -1], room - scale * extent
    where = room / 2 + rng.uniform(-.5, .5, 2) * slack
    if rng.random() < level['cut']:
        axis = rng.integers(2)
        left = scale * extent[axis] * (0.5 - rng.uniform(0.1, 0.4))
        where[axis] = rng.choice([left, room[axis] - left])
    return Placed(figure, float(scale), where - middle)


def _same_place(one, other) -> bool:
    """Return whether more than half of the smaller box is in the other."""
    (a, b), (c, d) = (np.sort(p.pixels(np.array(p.figure.extent())), axis=0)
                      for p in (one, other))
    shared = np.maximum(np.minimum(b, d) - np.maximum(a, c), 0).prod()
    return shared > 0.5 * min((b - a).prod(), (d - c).prod())


def _hide(rng, image, light, person, mask, covers):
    """Put a thing before a person, leaving at least half of it to see."""
    reach = person.scale * 1.2
    joints = person.joints(COCO_JOINTS[5:])
    centre = joints[rng.integers(len(joints))] + rng.normal(0, .1, 2) * reach
    canvas = image.copy()
    cover = random_clutter(rng, canvas, light, (0.25 * reach, 0.8 * reach),
                           centre)
    if (mask * (1 - cover)).sum() > 0.5 * mask.sum():
        image[...] = canvas
        covers.append((None, cover))


def describe_person(person: Placed, mask: np.ndarray,
                    later: list[np.ndarray]) -> dict | None:
    """Return the record of a person, as in :func:`pose_scene`.

    Args:
        person (Placed): The figure and where it stands.
        mask (np.ndarray): Coverage of the person, 0 to 1, shape (H, W).
        later (list[np.ndarray]): Coverage of all that was painted over it.

    Returns:
        dict | None: The record; None if hardly anything of the person shows.
    """
    height, width = mask.shape
    solid = (mask >= 0.5).astype(np.uint8)
    hidden = np.zeros(mask.shape, bool)
    for cover in later:
        hidden |= cover >= 0.5
    shown = (solid > 0) & ~hidden
    if shown.sum() < max(24, 0.12 * solid.sum()):
        return None

    def joints(names):
        at = person.joints(names)
        return at, ((at >= 0) & (at <= [width - 1, height - 1])).all(1)

    at, inside = joints(COCO_JOINTS)
    if not inside.any():
        return None
    seen = inside & person.seen(COCO_JOINTS)
    column, row = np.rint(at[inside]).astype(int).T
    seen[inside] &= ~hidden[row, column]
    coco = np.concatenate([at, (inside * 1. + seen)[:, None]], 1)
    coco[~inside] = 0
    at, inside = joints(MPII_JOINTS)
    mpii = np.concatenate([at, inside[:, None]], 1)
    mpii[~inside] = [-1, -1, 0]
    # The box is of the whole silhouette inside the picture, hidden or not.
    x, y, w, h = cv2.boundingRect(solid)
    return dict(
        box=[x, y, w, h],
        area=int(solid.sum()),
        mask=run_lengths(shown),
        coco=np.round(coco, 2).tolist(),
        mpii=np.round(mpii, 2).tolist(),
        head=np.round(person.head_box(), 2).tolist())


def _describe(out, parts):
    for split, samples in parts.items():
        write_json(out / f'annotations/person_keypoints_{split}.json',
                   _coco(samples))
        write_json(out / f'annotations/mpii_{split}.json', _mpii(samples))
    write_bytes(out / 'annotations/mpii_gt_val.mat', _mpii_mat(parts['val']))


def _coco(samples):
    def joints(person):
        return dict(
            num_keypoints=sum(v > 0 for _, _, v in person['coco']),
            keypoints=[
                value for x, y, v in person['coco']
                for value in (x, y, int(v))
            ])

    category = dict(
        id=1, name='person', supercategory='person', keypoints=COCO_JOINTS,
        skeleton=COCO_SKELETON)
    return coco_content('synthetic people', samples, [category], joints)


def _mpii(samples):
    people = []
    for sample in samples:
        for person in sample['instances']:
            x, y, w, h = person['box']
            people.append(
                dict(
                    image=f'{sample["name"]}.jpg',
                    # Scale is the person's length over 200 pixels.
                    center=[x + (w + 1) / 2, y + (h + 1) / 2],
                    scale=round(max(w, h) / 200, 6),
                    joints_vis=[int(v) for _, _, v in person['mpii']],
                    joints=[[round(u + 1, 2), round(v + 1, 2)] if seen else
                            [-1, -1] for u, v, seen in person['mpii']]))
    return people


def _mpii_mat(samples):
    """Return MPII's ground truth for evaluation, people last: (16, 2, N)."""
    people = [
        person for sample in samples for person in sample['instances']
    ]
    joints = np.array([p['mpii'] for p in people],
                      float).reshape(-1, len(MPII_JOINTS), 3)
    heads = np.array([p['head'] for p in people], float).reshape(-1, 2, 2)
    data = io.BytesIO()
    savemat(
        data,
        dict(
            dataset_joints=np.array(MPII_JOINTS, dtype=object)[None],
            pos_gt_src=(joints[..., :2] + joints[..., 2:]).transpose(1, 2, 0),
            jnt_missing=1 - joints[..., 2].T,
            headboxes_src=(heads + 1).transpose(1, 2, 0)))
    # The file's first 116 bytes hold the time of writing.
    header = b'MATLAB 5.0 MAT-file, synthetic people'.ljust(116)
    return header + data.getvalue()[116:]
