"""FCN's four scores against numbers worked out by hand."""
import numpy as np
import pytest

from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)

# 10 pixels: 5 of class 0 (4 right), 3 of class 1 (2 right), 2 of class 2
# (1 right).
TRUTH = np.array([[0, 0, 0, 0, 0, 1], [1, 1, 2, 2, 255, 255]])
PREDICTION = np.array([[0, 0, 0, 0, 1, 1], [1, 2, 2, 0, 0, 9]])
CONFUSION = [[4, 1, 0], [0, 2, 1], [1, 0, 1]]


def test_counts_pixels_by_class_and_prediction():
    found = confusion_matrix(TRUTH, PREDICTION, 3, 255)
    assert found.tolist() == CONFUSION


def test_the_four_scores_by_hand():
    scores = segmentation_scores(np.array(CONFUSION))
    assert scores['pixel_accuracy'] == pytest.approx(7 / 10)
    np.testing.assert_allclose(scores['accuracy'], [4 / 5, 2 / 3, 1 / 2])
    assert scores['mean_accuracy'] == pytest.approx(59 / 90)
    # Unions 5 + 5 - 4, 3 + 3 - 2 and 2 + 2 - 1.
    np.testing.assert_allclose(scores['iu'], [4 / 6, 2 / 4, 1 / 3])
    assert scores['mean_iu'] == pytest.approx(1 / 2)
    assert scores['frequency_weighted_iu'] == pytest.approx(
        (5 * 4 / 6 + 3 * 2 / 4 + 2 * 1 / 3) / 10)


def test_equals_the_sums_of_the_formulas():
    n = np.random.default_rng(0).integers(1, 50, (4, 4))
    classes = range(4)
    t = [sum(n[i, j] for j in classes) for i in classes]
    iu = [n[i, i] / (t[i] + sum(n[j, i] for j in classes) - n[i, i])
          for i in classes]
    scores = segmentation_scores(n)
    assert scores['mean_accuracy'] == pytest.approx(
        sum(n[i, i] / t[i] for i in classes) / 4)
    assert scores['mean_iu'] == pytest.approx(sum(iu) / 4)
    assert scores['frequency_weighted_iu'] == pytest.approx(
        sum(t[i] * iu[i] for i in classes) / sum(t))


def test_a_class_absent_from_the_truth_is_in_no_mean():
    # Class 2 is predicted once and never there.
    scores = segmentation_scores(np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]]))
    assert np.isnan(scores['iu'][2]) and np.isnan(scores['accuracy'][2])
    assert scores['mean_accuracy'] == pytest.approx((3 / 4 + 1) / 2)
    assert scores['mean_iu'] == pytest.approx((3 / 4 + 1) / 2)
    assert scores['frequency_weighted_iu'] == pytest.approx(7 / 8)
    assert scores['pixel_accuracy'] == pytest.approx(7 / 8)


def test_nothing_counted_scores_nan():
    scores = segmentation_scores(np.zeros((2, 2), int))
    assert all(np.isnan(value).all() for value in scores.values())


@pytest.mark.parametrize('truth, prediction, message', [
    ([0, 7, 8], [0, 1, 1],
     r'truth must hold labels 0 to 2 or 255 \(ignored\), got 7, 8'),
    ([0, -1], [0, 1],
     r'truth must hold labels 0 to 2 or 255 \(ignored\), got -1'),
    ([0, 1], [0, 3], 'prediction must hold labels 0 to 2, got 3'),
    ([0, 1], [0], r'the shape of truth, \(2,\), got \(1,\)'),
])
def test_labels_outside_the_classes_are_refused(truth, prediction, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(truth), np.array(prediction), 3, 255)


def test_small_label_types_do_not_wrap():
    """200 x 201 classes do not fit into the labels' own eight bits."""
    truth = np.array([200], np.uint8)
    found = confusion_matrix(truth, truth, 201, 255)
    assert found[200, 200] == 1
