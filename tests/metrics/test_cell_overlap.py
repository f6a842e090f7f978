"""Overlaps of matched cells: hand-made cases and a loop over all pairs."""
import numpy as np
import pytest

from mmdense.metrics.cell_overlap import cell_overlaps


def naive(predicted, truth):
    values = []
    for cell in sorted(set(truth.ravel().tolist()) - {0}):
        own, value = truth == cell, 0
        for piece in set(predicted.ravel().tolist()) - {0}:
            common = (own & (predicted == piece)).sum()
            if common > own.sum() / 2:
                value = common / (own | (predicted == piece)).sum()
        values.append(value)
    return values


@pytest.mark.parametrize('seed', range(5))
def test_matches_a_loop_over_all_pairs(seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 6, (4, 5)), np.ones((5, 4), int)) * 7
    predicted = np.roll(truth, (1, 1), (0, 1)) + 3 * (truth > 14)
    values = cell_overlaps(predicted.astype(np.uint16), truth)
    assert values == pytest.approx(naive(predicted, truth))
    assert values.any()


def test_exactly_half_is_no_match():
    truth = np.array([[1, 1, 1, 1, 0, 0]])
    assert cell_overlaps(np.array([[5, 5, 0, 0, 0, 0]]), truth) == [0]
    assert cell_overlaps(np.array([[5, 5, 5, 0, 0, 0]]), truth) == [0.75]
    assert cell_overlaps(np.array([[5, 5, 5, 5, 5, 0]]), truth) == [0.8]


def test_one_predicted_cell_may_match_two_true_ones_and_more_cost_nothing():
    truth = np.array([[1, 1, 0, 2, 2, 0, 0]])
    assert cell_overlaps(np.array([[9, 9, 9, 9, 9, 0, 3]]),
                         truth) == pytest.approx([0.4, 0.4])


def test_without_true_cells_there_are_no_values():
    assert cell_overlaps(np.ones((2, 2), int), np.zeros((2, 2), int)).size == 0
    assert cell_overlaps(np.zeros((1, 2), int), np.array([[0, 4]])) == [0]


def test_negative_numbers_are_refused():
    cells = np.ones((1, 2), int)
    with pytest.raises(ValueError, match='truth must be .* got -1'):
        cell_overlaps(cells, -cells)


def test_maps_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r'got \(1, 2\) and \(2, 1\)'):
        cell_overlaps(np.ones((1, 2), int), np.ones((2, 1), int))
