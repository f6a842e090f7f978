"""Any arguments for what computes with arrays: data sets and figures."""
import math
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from any_arguments import (
    FLAG,
    SEED,
    arguments,
    attempt,
    mirrored,
    parameters_of,
    profile,
    refusal_names,
)
from any_arrays import LABELS, NO_ARRAYS, NUMBERS, SHAPE, WRONG, pieces
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import mmdense.datasets
from mmdense.analysis.receptive_field import Field, receptive_fields, widest
from mmdense.arguments import check_array
from mmdense.datasets.border_weights import border_distances, border_weights
from mmdense.datasets.elastic_deformation import deform, displacement_field
from mmdense.datasets.hha import gravity_direction, hha, surface_normals
from mmdense.datasets.synthetic.membranes import membrane_slice


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
