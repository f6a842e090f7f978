"""Any arguments for what computes with arrays: data sets and figures."""
import json
import math
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from any_arguments import (
    FLAG,
    MISTAKES,
    arguments,
    attempt,
    mirrored,
    parameters_of,
    profile,
    refusal_names,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import mmdense.datasets
from mmdense.analysis import keypoint_errors as ke
from mmdense.analysis.receptive_field import Field, receptive_fields, widest
from mmdense.arguments import check_array
from mmdense.datasets.border_weights import border_distances, border_weights
from mmdense.datasets.elastic_deformation import deform, displacement_field
from mmdense.datasets.hha import gravity_direction, hha, surface_normals
from mmdense.datasets.synthetic.membranes import membrane_slice
from mmdense.metrics import membrane_errors as me
from mmdense.metrics.cell_overlap import cell_overlaps
from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)

SEED = st.integers(0, 99)
SHAPE = st.tuples(st.integers(1, 6), st.integers(1, 6))
NO_ARRAYS = st.sampled_from([
    *MISTAKES, [[1, 0]], np.zeros(()), np.zeros((2, 3, 4, 1), int),
    np.zeros((0, 3), int), np.array([['a']]), np.array([[None]]),
    np.array([[1j]]), np.array([[math.nan]]), np.array([[-1]]),
    np.array([[1.5]]), np.array([[10**12]]), np.array([[True]]),
    torch.zeros(2, 3)])
WRONG = st.one_of(NO_ARRAYS, st.sampled_from(MISTAKES))


def labels(shape, seed, values=(0, 1), dtype=np.uint8):
    """Blocks rather than noise, so that there is more than single pixels."""
    rng = np.random.default_rng(seed)
    small = rng.choice(values, [-(-s // 2) for s in shape])
    return np.kron(small, np.ones((2, 2), int))[:shape[0], :shape[1]].astype(
        dtype)


LABELS = st.builds(labels, SHAPE, SEED, st.sampled_from([
    (0, 1), (0, 1, 2), (0, 1, 1, 255), (1, ), (255, )]))
NUMBERS = st.builds(labels, SHAPE, SEED, st.just((0, 1, 2, 7)),
                    st.sampled_from([np.uint8, np.uint16, np.int64]))


def pieces(inside):
    """4-connected pieces by flooding: their number at each pixel, or 0."""
    found = np.zeros(inside.shape, int)
    for start in zip(*np.nonzero(inside), strict=True):
        todo, number = [start], found.max() + 1
        while todo and not found[start]:
            todo, found[start] = [start], number
            while todo:
                y, x = todo.pop()
                for p in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if 0 <= p[0] < inside.shape[0] and \
                            0 <= p[1] < inside.shape[1] and \
                            inside[p] and not found[p]:
                        found[p] = number
                        todo.append(p)
    return found


def naive_distances(cells, reach):
    borders = {}
    for (y, x), own in np.ndenumerate(cells):
        beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        if own and any(cells[p] != own for p in beside
                       if 0 <= p[0] < cells.shape[0]
                       and 0 <= p[1] < cells.shape[1]):
            borders.setdefault(own, []).append((y, x))
    near, second = np.full((2, *cells.shape), math.inf)
    for pixel in np.ndindex(*cells.shape):
        found = sorted(min(math.dist(pixel, q) for q in border)
                       for border in borders.values())
        found = [d for d in found if d <= reach] + [math.inf] * 2
        near[pixel], second[pixel] = found[:2]
    return near, second


@settings(profile)
@given(
    arguments(WRONG, cells=NUMBERS,
              reach=st.sampled_from([0, 1, 2.5, 100, math.inf])),
    arguments(WRONG, label=LABELS, cell=st.sampled_from([0, 1, 2]),
              frequencies=st.sampled_from([None, (.5, .25, .25)]),
              w0=st.sampled_from([1e-9, 1, 10.]), sigma=st.sampled_from(
                  [.5, 2, 5]), ignore_index=st.sampled_from([255, 2, -1])))
def test_weights_of_borders_are_the_formula(distances, weights):
    found = attempt(border_distances, distances)
    if found is not None:
        for a, b in zip(found, naive_distances(**distances[0]), strict=True):
            np.testing.assert_allclose(a, b)
    given, spoilt = weights
    # Of several cells or of single ones: tests/mmseg/test_instances.py.
    assume(spoilt != 'cell' or not isinstance(given['cell'], list | tuple))
    try:
        found = border_weights(**given)
    except (TypeError, ValueError) as error:
        refusal_names(error, [spoilt, 'frequencies'])
        # 255 is no class where something else is ignored.
        assert spoilt or given['frequencies']
        return
    label, ignored = given['label'], given['ignore_index']
    counted = Counter(label[label != ignored].tolist())
    shares = given['frequencies'] or {
        c: n / sum(counted.values()) for c, n in counted.items()}
    balance = [0 if v == ignored else 1 / (len(shares) * shares[v])
               for v in label.ravel().tolist()]
    near, second = naive_distances(pieces(label == given['cell']), math.inf)
    gaps = given['w0'] * np.exp(-(near + second)**2 / 2 / given['sigma']**2)
    np.testing.assert_allclose(
        found, gaps + np.reshape(balance, label.shape), atol=1e-5)


DEPTHS = st.builds(
    lambda shape, seed: np.random.default_rng(seed).choice(
        [0, 0.5, 1, 1.1, 7], shape).astype(np.float32), SHAPE, SEED)
VIEW = dict(
    camera=st.sampled_from([(1., 1., 0., 0.), [500, 510, 3, 2]]),
    radius=st.integers(1, 3))


@settings(profile)
@given(
    arguments(WRONG, depth=DEPTHS, **VIEW, gravity=st.sampled_from(
        [None, (0, 1, 0), [1., -2, 3]])),
    arguments(WRONG, depth=DEPTHS, **VIEW),
    arguments(WRONG, normals=st.builds(
        lambda n, seed: np.random.default_rng(seed).normal(size=(n, 3)),
        st.integers(0, 5), SEED)))
def test_depth_becomes_hha_between_0_and_255(whole, planes, normals):
    depth = whole[0]['depth']
    found = attempt(hha, whole)
    if found is not None:
        assert found.shape == (*depth.shape, 3) and found.dtype == np.float32
        assert ((found >= 0) & (found <= 255)).all()
        assert not found[~(depth > 0)].any()
    for function, case in ((surface_normals, planes),
                           (gravity_direction, normals)):
        found = attempt(function, case)
        if found is not None:
            np.testing.assert_allclose(
                np.linalg.norm(found, axis=-1), 1, atol=1e-6)


@settings(profile)
@given(
    arguments(WRONG, vectors=st.builds(
        lambda shape, seed: np.random.default_rng(seed).normal(
            0, 5, (2, *shape)), SHAPE, SEED),
        size=st.tuples(st.integers(2, 9), st.integers(2, 9))),
    SHAPE, SEED, st.sampled_from([(), (1, ), (3, )]), st.sampled_from([
        np.uint8, np.uint16, np.float32, np.float64, np.int64, bool]),
    st.sampled_from(['nearest', 'linear', 'cubic', 'area', None]),
    st.one_of(*[st.none()] * 8, NO_ARRAYS), FLAG)
def test_pictures_are_read_at_displaced_positions(
        field, shape, seed, channels, dtype, interpolation, wrong, first):
    found = attempt(displacement_field, field)
    if found is not None:
        given, _ = field
        vectors, (height, width) = given['vectors'], given['size']
        corners = found[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_allclose(
            corners, vectors[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-4)
        assert found.shape == (2, height, width)
    rng = np.random.default_rng(seed)
    picture = (rng.random((*shape, *channels)) * 200).astype(dtype)
    move = rng.integers(-9, 9, (2, *shape)).astype(np.float32)
    if interpolation == 'linear' and dtype in (np.float32, np.float64):
        move += 0.25
    given = dict(picture=picture, displacement=move)
    if wrong is not None:
        given['picture' if first else 'displacement'] = wrong
    try:
        out = deform(**given, interpolation=interpolation)
    except (TypeError, ValueError) as error:
        refusal_names(error, ['picture', 'displacement', 'interpolation'])
        assert wrong is not None or dtype in (np.int64, bool) or \
            interpolation in ('area', None)
        return
    picture, move = given['picture'], given['displacement']
    assert out.dtype == picture.dtype and out.shape == picture.shape
    for (y, x), _ in np.ndenumerate(move[0]):
        v, u = y + move[0, y, x], x + move[1, y, x]
        expected = 0.
        for i, j in np.ndindex(2, 2):
            weight = (1 - abs(v - math.floor(v) - i)) * (
                1 - abs(u - math.floor(u) - j))
            if weight:
                expected += weight * picture[
                    mirrored(math.floor(v) + i, picture.shape[0]),
                    mirrored(math.floor(u) + j, picture.shape[1])].astype(
                        float)
        np.testing.assert_allclose(out[y, x], expected, rtol=1e-4)


SPOILT_SETS = st.sampled_from([
    dict(), dict(), dict(train='a'), dict(train=-1), dict(val=None),
    dict(size=(32, )), dict(size=3), dict(size=('a', 40)), dict(size=(8, 40)),
    dict(seed=-1), dict(seed='a'), dict(seed=1.5), dict(difficulty='none'),
    dict(difficulty=None), dict(workers=0), dict(workers='a'),
    dict(size=(32, 10**9)), dict(classes=('unicorn', )), dict(classes=()),
    dict(classes=3), dict(train=0, val=0), dict(out=3)])


@settings(profile)
@given(
    st.sampled_from([
        mmdense.datasets.make_detection_set, mmdense.datasets.make_pose_set,
        mmdense.datasets.make_cell_set,
        mmdense.datasets.make_membrane_set,
        mmdense.datasets.make_room_set,
        mmdense.datasets.make_segmentation_set]), SPOILT_SETS,
    arguments(
        rng=st.builds(np.random.default_rng, SEED),
        size=st.tuples(st.integers(32, 48), st.integers(32, 48)),
        difficulty=st.sampled_from(['easy', 'normal', 'hard'])))
def test_a_set_is_written_or_its_argument_named(make, spoilt, case):
    found = attempt(membrane_slice, case)
    if found is not None:
        image, cells = found
        assert image.shape == cells.shape == tuple(case[0]['size'])
        assert image.dtype == np.uint8 and cells.dtype == np.uint16
        for a, b in ((cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1])):
            assert not ((a != b) & (a > 0) & (b > 0)).any()
    if not spoilt.keys() <= parameters_of(make):
        return
    with tempfile.TemporaryDirectory() as folder:
        given = dict(dict(out=Path(folder) / 'set', train=1, val=0,
                          size=(32, 40), workers=1), **spoilt)
        try:
            out = make(**given)
        except (TypeError, ValueError) as error:
            assert spoilt
            refusal_names(error, list(spoilt))
            assert not (Path(folder) / 'set').exists()
        else:
            assert not spoilt and (out / 'manifest.json').exists()


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


WINDOW = st.tuples(
    st.sampled_from(['conv', 'pool', 'both']), st.integers(1, 3),
    st.integers(1, 2), st.integers(1, 2))


class Both(nn.Module):
    """Two branches that meet; one looks farther."""

    def __init__(self, kernel):
        super().__init__()
        self.near = nn.Conv2d(1, 1, 1)
        self.far = nn.Conv2d(1, 1, 2 * kernel + 1, padding=kernel)

    def forward(self, x):
        return self.near(x) + self.far(x)


@settings(profile)
@given(st.lists(WINDOW, min_size=1, max_size=3),
       st.sampled_from([None] * 5 + [3, 'x', torch.zeros(2), [1]]))
def test_a_receptive_field_is_where_the_gradient_goes(windows, wrong):
    layers = []
    for kind, kernel, stride, dilation in windows:
        layers.append(
            Both(kernel) if kind == 'both' else
            nn.AvgPool2d(kernel, stride) if kind == 'pool' else
            nn.Conv2d(1, 1, kernel, stride, dilation=dilation))
    net = nn.Sequential(*layers).double()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    image = torch.zeros(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
    if wrong is not None:
        try:
            receptive_fields(net, wrong)
        except (TypeError, ValueError) as error:
            refusal_names(error, ['image'])
        else:
            raise AssertionError('took no image for one')
    field = receptive_fields(net, image)['']
    out = net(image)
    at = out.shape[2] // 2
    out[0, 0, at, at].backward()
    seen = torch.nonzero(image.grad[0, 0].any(1)).ravel().tolist()
    assert field.size == (seen[-1] - seen[0] + 1, ) * 2
    assert field.stride == (math.prod(
        1 if kind == 'both' else s for kind, _, s, _ in windows), ) * 2
    assert field.layers == sum(kind != 'pool' for kind, *_ in windows)
    assert widest([field, Field(0, (99, 99), (1, 1))]) == field


@settings(profile)
@given(st.one_of(NO_ARRAYS, LABELS), st.integers(1, 3),
       st.sampled_from(['iu', 'f', 'b', 'iufb']))
def test_an_array_is_of_its_kind(x, axes, kinds):
    try:
        check_array(x, axes, kinds, 'x')
    except (TypeError, ValueError) as error:
        refusal_names(error, ['x'])
        assert not (isinstance(x, np.ndarray) and x.ndim == axes
                    and x.dtype.kind in kinds)
    else:
        assert x.ndim == axes and x.dtype.kind in kinds
