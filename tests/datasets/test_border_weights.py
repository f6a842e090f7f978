"""The weight map is the formula, pixel by pixel."""
import math
import time

import cv2
import numpy as np
import pytest

from mmdense.datasets.border_weights import border_distances, border_weights
from mmdense.datasets.synthetic.membranes import membrane_slice


def naive_distances(cells):
    """The two smallest distances of every pixel to the cells' borders."""
    height, width = cells.shape
    borders = {}
    for y in range(height):
        for x in range(width):
            beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            if cells[y, x] and any(
                    cells[p] != cells[y, x] for p in beside
                    if 0 <= p[0] < height and 0 <= p[1] < width):
                borders.setdefault(cells[y, x], []).append((y, x))
    near, second = np.empty(cells.shape), np.empty(cells.shape)
    for y in range(height):
        for x in range(width):
            found = sorted(
                min(math.hypot(y - i, x - j) for i, j in border)
                for border in borders.values())
            near[y, x], second[y, x] = (found + [math.inf] * 2)[:2]
    return near, second


def slice_of(size, seed=0):
    return membrane_slice(np.random.default_rng(seed), size, 'easy')[1]


@pytest.mark.parametrize('seed, size', [(0, (40, 53)), (1, (37, 64))])
def test_distances_are_those_of_every_pixel_to_every_border(seed, size):
    cells = slice_of(size, seed)
    assert cells.max() >= 3
    near, second = border_distances(cells, 200)
    expected = naive_distances(cells)
    np.testing.assert_allclose(near, expected[0], rtol=1e-12)
    np.testing.assert_allclose(second, expected[1], rtol=1e-12)


def test_cells_that_touch_have_borders_too():
    cells = np.array([[1, 1, 1, 2, 2, 2]] * 5)
    near, second = border_distances(cells, 10)
    assert near[2].tolist() == [2, 1, 0, 0, 1, 2]
    assert second[2].tolist() == [3, 2, 1, 1, 2, 3]


def test_a_map_without_pixels_has_no_distances():
    near, second = border_distances(np.zeros((0, 3), int), 1)
    assert near.shape == second.shape == (0, 3)


def test_beyond_the_reach_there_is_no_cell():
    cells = np.zeros((1, 12), int)
    cells[0, 0], cells[0, 9] = 1, 2
    near, second = border_distances(cells, 6)
    inf = np.inf
    assert near[0].tolist() == [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 1, 2]
    assert second[0].tolist() == [inf] * 3 + [6, 5, 5, 6] + [inf] * 5


@pytest.mark.parametrize('sigma, w0', [(5, 10), (2, 3), (9, 1)])
def test_weights_are_the_formula(sigma, w0):
    label = (slice_of((48, 61)) > 0).astype(np.uint8)
    near, second = naive_distances(
        cv2.connectedComponents(label, connectivity=4)[1])
    share = label.mean()
    balance = np.where(label, 1 / (2 * share), 1 / (2 * (1 - share)))
    expected = balance + w0 * np.exp(-(near + second)**2 / (2 * sigma**2))
    weights = border_weights(label, w0=w0, sigma=sigma)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, atol=2e-6)


def test_cells_that_meet_at_a_corner_are_two():
    label = np.kron(np.eye(2, dtype=np.uint8), np.ones((6, 6), np.uint8))
    assert border_weights(label)[5, 5] == pytest.approx(
        1 + 10 * math.exp(-2 / 50))


def test_class_weights_of_a_map_have_the_mean_one():
    label = np.zeros((6, 8), np.uint8)
    label[:2, :3] = 1  # one cell: no gap
    weights = border_weights(label)
    assert weights.mean() == pytest.approx(1)
    assert weights[0, 0] == pytest.approx(48 / (2 * 6))


def test_frequencies_of_the_training_set_replace_those_of_the_map():
    label = np.zeros((6, 8), np.uint8)
    label[:2, :3] = 1
    weights = border_weights(label, frequencies=[0.2, 0.8])
    assert weights[0, 0] == pytest.approx(1 / 1.6)
    assert weights[5, 5] == pytest.approx(1 / 0.4)


@pytest.mark.parametrize('value', [0, 1])
def test_a_map_of_one_class_weighs_one(value):
    label = np.full((5, 7), value, np.uint8)
    np.testing.assert_allclose(border_weights(label), 1)


def test_pixels_without_a_class_have_no_class_weight():
    label = np.zeros((4, 4), np.uint8)
    label[0] = 255
    weights = border_weights(label)
    assert not weights[0].any() and (weights[1:] == 1).all()
    assert not border_weights(np.full((4, 4), 255, np.uint8)).any()


@pytest.mark.parametrize('options, message', [
    (dict(w0=0), 'w0 must be a positive number, got 0'),
    (dict(sigma=-1), 'sigma must be a positive number, got -1'),
    (dict(frequencies=[1]), r'frequencies must .* \[0, 1\], got \[1\]'),
    (dict(frequencies=[1, 0]), 'frequencies must hold a positive share'),
])
def test_wrong_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        border_weights(np.eye(4, dtype=np.uint8), **options)


def test_a_slice_of_a_hundred_cells_takes_below_a_second():
    label = (slice_of((512, 512)) > 0).astype(np.uint8)
    assert cv2.connectedComponents(label, connectivity=4)[0] > 100
    start = time.process_time()
    border_weights(label)
    assert time.process_time() - start < 1
