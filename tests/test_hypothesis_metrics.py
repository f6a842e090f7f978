"""Any arguments for the errors and scores that are computed from arrays."""
import json
import math
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from any_arguments import (
    FLAG,
    MISTAKES,
    SEED,
    arguments,
    attempt,
    profile,
    refusal_names,
)
from any_arrays import (
    LABELS,
    NO_ARRAYS,
    NUMBERS,
    SHAPE,
    WRONG,
    labels,
    pieces,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdense.analysis import keypoint_errors as ke
from mmdense.metrics import membrane_errors as me
from mmdense.metrics.cell_overlap import cell_overlaps
from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)

CELLS = st.builds(lambda shape, seed: labels(shape, seed, dtype=bool),
                  SHAPE, SEED)


def topology(cells):
    """Numbers of cells and of membranes, membrane all around."""
    framed = np.pad(cells, 1)
    # 8-connected: what touches at a corner is joined by twice the pixels.
    outside = np.kron(~framed, np.ones((2, 2), bool))
    for y, x in np.argwhere(~framed[:-1, :-1] & ~framed[1:, 1:]):
        outside[2 * y + 1:2 * y + 3, 2 * x + 1:2 * x + 3] = True
    for y, x in np.argwhere(~framed[:-1, 1:] & ~framed[1:, :-1]):
        outside[2 * y + 1:2 * y + 3, 2 * x + 1:2 * x + 3] = True
    return pieces(framed).max(), pieces(outside).max()


@settings(profile)
@given(st.sampled_from([me.pixel_error, me.rand_error, me.warping_error]),
       arguments(NO_ARRAYS, predicted=CELLS, truth=CELLS), FLAG)
def test_errors_of_membranes_are_counted(function, case, other):
    given, spoilt = case
    if other and not spoilt:
        given['predicted'] = np.resize(given['predicted'],
                                       given['truth'].shape)
    try:
        error = function(**given)
    except (TypeError, ValueError) as refusal:
        refusal_names(refusal, ['predicted', 'truth'])
        assert spoilt or given['predicted'].shape != given['truth'].shape
        return
    predicted, truth = given['predicted'], given['truth']
    assert me.simple_patterns().sum() == 116
    if function is me.pixel_error:
        assert error == np.mean([a != b for a, b in zip(
            predicted.flat, truth.flat, strict=True)])
    elif function is me.warping_error:
        warped = me.warp(truth, predicted)
        assert topology(warped) == topology(truth)
        assert error == (warped != predicted).mean()
        assert error <= (truth != predicted).mean()
    else:
        cell, piece = pieces(truth), pieces(predicted)
        pixels = list(zip(*np.nonzero(truth), strict=True))
        both = found = there = 0
        for p in pixels:
            for q in pixels:
                together = p == q or piece[p] == piece[q] > 0
                both += together and cell[p] == cell[q]
                found += together
                there += cell[p] == cell[q]
        assert math.isclose(
            error, 1 - 2 * both / (found + there) if pixels else 0,
            abs_tol=1e-9)


@settings(profile)
@given(
    arguments(
        WRONG, truth=LABELS, prediction=NUMBERS,
        num_classes=st.sampled_from([2, 3, 8]),
        ignore_index=st.sampled_from([255, -1])),
    arguments(NO_ARRAYS, confusion=st.builds(
        lambda n, seed: np.random.default_rng(seed).integers(0, 4, (n, n)),
        st.integers(1, 4), SEED)))
def test_scores_are_the_sums(case, table):
    given, spoilt = case
    if not spoilt:
        given['prediction'] = np.resize(given['prediction'],
                                        given['truth'].shape)
    try:
        found = confusion_matrix(**given)
    except (TypeError, ValueError) as error:
        refusal_names(error, [spoilt, 'truth', 'prediction'])
        assert spoilt or max(given['truth'].max(), given['prediction'].max()
                             ) >= given['num_classes']
    else:
        pairs = Counter(
            (t, p) for t, p in zip(given['truth'].ravel().tolist(),
                                   given['prediction'].ravel().tolist(),
                                   strict=True)
            if t != given['ignore_index'])
        assert pairs == Counter({
            (i, j): n for (i, j), n in np.ndenumerate(found) if n})
    scores = attempt(segmentation_scores, table)
    if scores is None:
        return
    n = table[0]['confusion'].tolist()
    classes = [i for i in range(len(n)) if sum(n[i])]
    iu = {i: n[i][i] / (sum(n[i]) + sum(row[i] for row in n) - n[i][i])
          for i in classes}
    total = sum(map(sum, n))
    expected = [
        sum(n[i][i] for i in classes) / total,
        sum(n[i][i] / sum(n[i]) for i in classes) / len(classes),
        sum(iu.values()) / len(classes),
        sum(sum(n[i]) * iu[i] for i in classes) / total
    ] if total else [math.nan] * 4
    np.testing.assert_allclose(list(scores.values())[:4], expected)


@settings(profile)
@given(arguments(NO_ARRAYS, predicted=NUMBERS, truth=NUMBERS))
def test_overlaps_are_those_of_all_pairs(case):
    given, spoilt = case
    if not spoilt:
        given['predicted'] = np.resize(given['predicted'],
                                       given['truth'].shape)
    found = attempt(cell_overlaps, case)
    if found is None:
        return
    expected = []
    for cell in sorted(set(given['truth'].ravel().tolist()) - {0}):
        own = given['truth'] == cell
        shares = [
            (own & piece).sum() / (own | piece).sum()
            for piece in (given['predicted'] == number for number in set(
                given['predicted'].ravel().tolist()) - {0})
            if 2 * (own & piece).sum() > own.sum()
        ]
        expected.append(shares[0] if shares else 0)
    np.testing.assert_allclose(found, expected)


PARTS = ['nose', 'left_eye', 'right_eye', 'left_ear']
TWINS = [-1, 2, 1, -1]
BREAK = st.one_of(st.none(), st.tuples(
    st.sampled_from(['truth', 'result']),
    st.sampled_from(['keypoints', 'area', 'id', 'image_id', 'score',
                     'category_id', 'images', 'annotations', 'categories']),
    st.sampled_from(['gone', *MISTAKES, [math.nan] * 12, ['a'] * 12, {}])))


def people(rng, number):
    points = rng.integers(0, 12, (number, 4, 3)).astype(float)
    points[..., 2] = rng.integers(0, 3, (number, 4))
    return points, rng.integers(4, 300, number).astype(float)


def naive_similarity(points, person, area, sigmas):
    return [math.exp(-((x - a)**2 + (y - b)**2) / (2 * area * (2 * k)**2))
            if seen else 0.
            for (x, y), (a, b, seen), k in zip(
                points, person, sigmas, strict=True)]


@settings(profile)
@given(st.integers(0, 3), st.integers(0, 3), SEED, BREAK)
def test_keypoints_are_judged_one_by_one(persons, detected, seed, damage):
    rng = np.random.default_rng(seed)
    sigmas = [.05, .1, .2, .4]
    points, areas = people(rng, persons)
    found = people(rng, detected)[0]
    scores = rng.permutation(detected).tolist()
    truth = dict(
        images=[dict(id=1)],
        categories=[dict(id=1, keypoints=PARTS)],
        annotations=[
            dict(id=k, image_id=1, category_id=1, area=area,
                 keypoints=p.ravel().tolist())
            for k, (p, area) in enumerate(zip(points, areas, strict=True))])
    results = [dict(image_id=1, score=score, keypoints=p.ravel().tolist())
               for p, score in zip(found, scores, strict=True)]
    if damage:
        target, key, value = damage
        records = [truth, *truth['categories'], *truth['annotations']] \
            if target == 'truth' else results
        records = [record for record in records if key in record]
        if not records:
            return
        if value == 'gone':
            del records[-1][key]
        else:
            records[-1][key] = value
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / 'truth.json', Path(folder) / 'result.json'
        for file, content in zip(files, (truth, results), strict=True):
            file.write_text(json.dumps(content))
        try:
            errors = ke.analyse(*files, sigmas)
        except ValueError as error:
            assert damage
            refusal_names(error, ['truth.json', 'result.json'])
            return
    if damage:
        return
    expected = np.zeros((4, 5), int)
    free = {k for k in range(persons) if points[k, :, 2].any()}
    assert errors.people == len(free)
    similarities = []
    for k in sorted(range(detected), key=lambda k: -scores[k]):
        own = [naive_similarity(found[k, :, :2], p, a, sigmas)
               for p, a in zip(points, areas, strict=True)]
        twin = [[row[0] if t >= 0 else 0. for row, t in zip((naive_similarity(
            [found[k, i, :2]], [p[TWINS[i]]], a, [sigmas[i]])
            for i in range(4)), TWINS, strict=True)]
            for p, a in zip(points, areas, strict=True)]
        if persons:
            np.testing.assert_allclose(
                ke.similarity(found[k, :, :2], points, areas,
                              np.array(sigmas)), own)
        similarities.append(np.reshape(own, (persons, 4)))
        means = {p: sum(own[p]) / (points[p, :, 2] > 0).sum() for p in free}
        person = max(sorted(means), key=means.get, default=None)
        if person is None or means[person] < 0.1:
            continue
        free.discard(person)
        for i in range(4):
            if not points[person, i, 2]:
                continue
            a, b = own[person][i], twin[person][i]
            other = max([0., *(v[q][i] for v in (own, twin)
                               for q in range(persons) if q != person)])
            kind = ('good' if a >= .85 else 'jitter' if a >= .5 else
                    'inversion' if b >= .5 and b >= other else
                    'swap' if other >= .5 else 'missing')
            expected[i, ke.KINDS.index(kind)] += 1
            if kind in ('good', 'missing'):
                assert ke.KINDS[ke.kinds(
                    np.array(own), np.array(twin), person)[i]] == kind
    assert errors.counts.tolist() == expected.tolist()
    matches = ke.match(similarities, points[..., 2] > 0)
    assert sum(m is not None for m in matches) == errors.matched
    assert ke.twins_of(PARTS).tolist() == TWINS
    again = ke.KeypointErrors(
        PARTS, expected, errors.people, errors.matched)
    assert 'missing' in ke.table(dict(a=errors))
    assert ke.as_json(dict(a=errors)) == ke.as_json(dict(a=again))
    if seed == 0:  # the slowest
        with tempfile.TemporaryDirectory() as folder:
            ke.plot(dict(a=errors), Path(folder) / 'errors.png')
