"""Kinds of errors of a pose network: jitter, inversion, swap, missing.

Source: Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance
Pose Estimation (ICCV 2017), as Luo et al., Adaptive Dilated Convolution for
Human Pose Estimation, Section IV-A2, use it.

A detection is matched to a person as COCO's evaluation does, at an object
keypoint similarity of at least 0.1. A predicted keypoint at distance d of a
part has the similarity ``exp(-d^2 / (2 s^2 k^2))`` with it, s^2 the area of
the part's person and k twice the part's sigma. Each labelled keypoint of a
matched person is one of

* good: similarity with its part at least 0.85;
* jitter: at least 0.5, below 0.85;
* inversion: below 0.5 with its part, at least 0.5 with the part's left or
  right twin on the same person;
* swap: below 0.5 with its part, at least 0.5 with that part or its twin on
  another person;
* missing: below 0.5 with all of these.

Where both inversion and swap fit, the more similar part decides. Departure:
the authors' program lets the most similar part decide even where the own part
has a similarity of 0.5 and more.
"""
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KINDS = ('good', 'jitter', 'inversion', 'swap', 'missing')
COCO_SIGMAS = (.026, .025, .025, .035, .035, .079, .079, .072, .072, .062,
               .062, .107, .107, .087, .087, .089, .089)
GOOD, NEAR, MATCH = 0.85, 0.5, 0.1
# As COCO's evaluation: the best-scored of an image.
MAX_DETECTIONS = 20


@dataclass
class KeypointErrors:
    """Keypoints by kind of error.

    Attributes:
        parts (list[str]): Names of the K parts.
        counts (np.ndarray): (K, 5), columns in the order of ``KINDS``.
        people (int): Persons with labelled keypoints.
        matched (int): Persons with a matched detection; only their keypoints
            are counted.
    """
    parts: list[str]
    counts: np.ndarray
    people: int
    matched: int

    def shares(self) -> dict[str, float]:
        """The share of each kind among the counted keypoints; the sum is 1."""
        total = max(1, self.counts.sum())
        return dict(zip(KINDS, (self.counts.sum(0) / total).tolist(),
                        strict=True))


def similarity(points: np.ndarray, people: np.ndarray, areas: np.ndarray,
               sigmas: np.ndarray) -> np.ndarray:
    """Return the keypoint similarity of a detection with every person.

    Args:
        points (np.ndarray): (K, 2), x and y in pixels.
        people (np.ndarray): (P, K, 3), x, y and visibility; 0 is unlabelled.
        areas (np.ndarray): (P,), in square pixels.
        sigmas (np.ndarray): (K,), COCO's spread of each part.

    Returns:
        np.ndarray: (P, K), between 0 and 1; 0 where unlabelled.
    """
    square = ((points - people[..., :2])**2).sum(-1)
    spread = 2 * areas[:, None] * (2 * sigmas)**2
    with np.errstate(over='ignore'):  # of a person without any area
        value = np.exp(-square / np.maximum(spread, np.finfo(float).tiny))
    return value * (people[..., 2] > 0)


def match(similarities: Sequence[np.ndarray],
          labelled: np.ndarray) -> list[int | None]:
    """Match each detection to the most similar person that is still free.

    Args:
        similarities (Sequence[np.ndarray]): (P, K) of each detection, best
            score first.
        labelled (np.ndarray): (P, K), bool.

    Returns:
        list[int | None]: Index of a person, or None, for each detection.
    """
    free = labelled.any(1)
    matches = []
    for values in similarities:
        oks = np.where(free, values.sum(1) / np.maximum(labelled.sum(1), 1), 0)
        person = int(oks.argmax()) if len(oks) else 0
        if not len(oks) or oks[person] < MATCH:
            matches.append(None)
            continue
        free[person] = False
        matches.append(person)
    return matches


def kinds(own: np.ndarray, twin: np.ndarray, person: int) -> np.ndarray:
    """Return the kind of error of each keypoint of a matched detection.

    Args:
        own (np.ndarray): (P, K), similarity of each keypoint with its part
            on every person.
        twin (np.ndarray): (P, K), likewise with the part's twin; 0 for a
            part that has none.
        person (int): The person matched.

    Returns:
        np.ndarray: (K,), indices into ``KINDS``.
    """
    others = np.delete(np.maximum(own, twin), person, 0)
    inverted, swapped = twin[person], others.max(0, initial=0)
    kind = np.full(own.shape[1], KINDS.index('missing'))
    kind[swapped >= NEAR] = KINDS.index('swap')
    kind[(inverted >= NEAR) & (inverted >= swapped)] = KINDS.index('inversion')
    kind[own[person] >= NEAR] = KINDS.index('jitter')
    kind[own[person] >= GOOD] = KINDS.index('good')
    return kind


def twins_of(parts: Sequence[str]) -> np.ndarray:
    """Return the index of each part's left or right twin; -1 for no twin."""
    def twin(part):
        for one, other in (('left', 'right'), ('right', 'left')):
            if part.startswith(one):
                name = other + part.removeprefix(one)
                return parts.index(name) if name in parts else -1
        return -1

    parts = list(parts)
    return np.array([twin(part) for part in parts])


def analyse(annotations: str | Path,
            results: str | Path,
            sigmas: Sequence[float] | None = None) -> KeypointErrors:
    """Count the kinds of errors in a result file.

    Args:
        annotations (str | Path): Ground truth, COCO keypoints.
        results (str | Path): Detections as COCO's evaluation takes them: a
            list of image_id, score and keypoints (mmpose's ``CocoMetric``
            writes one to ``{outfile_prefix}.keypoints.json``).
        sigmas (Sequence[float], optional): Spread of each part; the 17 of COCO
            by default.

    Returns:
        KeypointErrors: The counts.

    Raises:
        ValueError: If a file has the wrong content, the number of parts or
            sigmas does not fit, or a detection belongs to an unknown image.
    """
    images, parts, people = _truth(annotations)
    sigmas = np.array(COCO_SIGMAS if sigmas is None else sigmas, float)
    if len(sigmas) != len(parts):
        raise ValueError(f'sigmas must have one number for each of the '
                         f'{len(parts)} parts of {annotations}, '
                         f'got {len(sigmas)}')
    detections = _detections(results, images, len(parts))

    counts = np.zeros((len(parts), len(KINDS)), int)
    total = matched = 0
    twins = twins_of(parts)
    for image, (points, areas) in people.items():
        labelled = points[..., 2] > 0
        total += int(labelled.any(1).sum())
        found = sorted(
            detections[image], key=lambda d: -d[0])[:MAX_DETECTIONS]
        at = [xy for _, xy in found]
        own = [similarity(xy, points, areas, sigmas) for xy in at]
        for xy, values, person in zip(
                at, own, match(own, labelled), strict=True):
            if person is None:
                continue
            matched += 1
            twin = similarity(xy, points[:, twins], areas,
                              sigmas) * (twins >= 0)
            seen = np.flatnonzero(labelled[person])
            np.add.at(counts, (seen, kinds(values, twin, person)[seen]), 1)
    return KeypointErrors(parts, counts, total, matched)


def _read(path: str | Path):
    try:
        return json.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path} must be a JSON file: {error}') from error


def _finite(values, count: int, name: str) -> np.ndarray:
    """Return ``count`` numbers; raise if one is NaN or infinite."""
    array = np.array(values, float)
    if array.shape != (count, ) or not np.isfinite(array).all():
        raise ValueError(
            f'{name} must be {count} finite numbers, got {values}')
    return array


def _truth(path: str | Path) -> tuple[set, list, dict]:
    """Read images, parts, and by image people (P, K, 3) and areas (P,)."""
    truth = _read(path)
    if not isinstance(truth, dict) or not {'images', 'annotations',
                                           'categories'} <= truth.keys():
        raise ValueError(f'{path} must be COCO ground truth: a dictionary of '
                         'images, annotations and categories')
    try:
        category = next(
            (c for c in truth['categories'] if 'keypoints' in c), None)
        if category is None:
            raise ValueError('a category must have keypoints, got none')
        parts = category['keypoints']
        if not isinstance(parts, list) or not all(
                isinstance(part, str) for part in parts):
            raise ValueError(f'keypoints must be names of parts, got {parts}')
        images = {image['id'] for image in truth['images']}
        people = defaultdict(list)
        for person in truth['annotations']:
            if person['category_id'] != category['id'] or person.get(
                    'iscrowd'):
                continue
            if person['image_id'] not in images:
                raise ValueError(f'image_id must be one of its images, got '
                                 f'{person["image_id"]}')
            area, = _finite([person['area']], 1, 'area')
            points = _finite(person['keypoints'], 3 * len(parts), 'keypoints')
            people[person['image_id']].append(
                (points.reshape(-1, 3), area))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} must be COCO ground truth: '
                         f'{type(error).__name__}: {error}') from error
    return images, parts, {
        image: tuple(np.array(values) for values in zip(*own, strict=True))
        for image, own in people.items()
    }


def _detections(path: str | Path, images: set, parts: int) -> dict[int, list]:
    """Read the detections by image: score and points (K, 2)."""
    results = _read(path)
    wanted = {'image_id', 'score', 'keypoints'}
    if not isinstance(results, list) or not all(
            isinstance(d, dict) and wanted <= d.keys() for d in results):
        raise ValueError(f'{path} must be a list of detections, each with '
                         'image_id, score and keypoints')
    found = defaultdict(list)
    for detection in results:
        try:
            if len(detection['keypoints']) != 3 * parts:
                raise ValueError(f'a detection must have 3 x {parts} numbers, '
                                 f'got {len(detection["keypoints"])}')
            if detection['image_id'] not in images:
                raise ValueError(
                    'image_id of a detection must be in the ground truth, '
                    f'got {detection["image_id"]}')
            score, = _finite([detection['score']], 1, 'score')
            points = _finite(detection['keypoints'], 3 * parts, 'keypoints')
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path}: {error}') from error
        found[detection['image_id']].append(
            (score, points.reshape(-1, 3)[:, :2]))
    return found


def table(errors: dict[str, KeypointErrors]) -> str:
    """Return the shares of each kind in percent, one column a result."""
    names = list(errors)
    lines = [
        '| kind | ' + ' | '.join(names) + ' |',
        '| --- |' + ' ---: |' * len(names),
    ]
    shares = [e.shares() for e in errors.values()]
    lines += [
        f'| {kind} | ' + ' | '.join(f'{100 * s[kind]:.2f}' for s in shares) +
        ' |' for kind in KINDS
    ]
    lines.append('| persons matched | ' + ' | '.join(
        f'{e.matched} of {e.people}' for e in errors.values()) + ' |')
    return '\n'.join(lines) + '\n'


def as_json(errors: dict[str, KeypointErrors]) -> dict:
    """Return everything counted, for JSON."""
    return {
        name: dict(
            people=e.people,
            matched=e.matched,
            shares=e.shares(),
            counts={
                part: dict(zip(KINDS, row.tolist(), strict=True))
                for part, row in zip(e.parts, e.counts, strict=True)
            })
        for name, e in errors.items()
    }


def plot(errors: dict[str, KeypointErrors], path: str | Path) -> None:
    """Draw the shares of the four errors as bars, results side by side."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6, 3.5), layout='constrained')
    axes = figure.subplots()
    at, width = np.arange(len(KINDS) - 1), 0.8 / len(errors)
    for k, (name, result) in enumerate(errors.items()):
        shares = [100 * result.shares()[kind] for kind in KINDS[1:]]
        bars = axes.bar(
            at + (k - (len(errors) - 1) / 2) * width,
            shares,
            width,
            label=name)
        axes.bar_label(bars, fmt='%.2f', fontsize=8)
    axes.set_xticks(at, KINDS[1:])
    axes.set_xlabel('kind of error')
    axes.set_ylabel('share of labelled keypoints (%)')
    axes.legend()
    figure.savefig(path, dpi=150)
