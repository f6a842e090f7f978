"""Metrics get what mmseg's segmentors hand over."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import METRICS

pytest.importorskip('mmseg')

from mmdense.metrics.membrane_errors import (  # noqa: E402
    pixel_error,
    rand_error,
    warping_error,
)


def evaluate(metric, *samples):
    metric = METRICS.build(metric)
    for probability, truth in samples:
        p = torch.as_tensor(probability, dtype=torch.float32)
        logits = torch.stack([1 - p, p]).log()
        metric.process({}, [
            dict(
                seg_logits=dict(data=logits),
                pred_sem_seg=dict(data=(p > 0.5)[None].long()),
                gt_sem_seg=dict(data=torch.as_tensor(truth)[None].long()))
        ])
    return metric.evaluate(len(samples))


def pictures(seed):
    rng = np.random.default_rng(seed)
    truth = np.ones((20, 24), int)
    truth[9:11], truth[:, 11:13] = 0, 0
    probability = np.where(truth, 0.75, 0.35) + rng.normal(0, 0.15, (20, 24))
    return probability.clip(0.01, 0.99), truth


def test_each_error_is_the_best_mean_over_the_thresholds():
    samples = [pictures(0), pictures(1)]
    found = evaluate(dict(type='mmdense.MembraneMetric'), *samples)
    for name, error in (('pixel_error', pixel_error),
                        ('rand_error', rand_error),
                        ('warping_error', warping_error)):
        means = [
            np.mean([error(p > k / 10, t == 1) for p, t in samples])
            for k in range(10)
        ]
        assert found[name] == pytest.approx(min(means))
        assert found[f'{name}_threshold'] == pytest.approx(
            np.argmin(means) / 10)
    assert 0 < found['pixel_error'] < 0.3


def test_a_perfect_map_has_no_error_and_the_classes_may_be_swapped():
    _, truth = pictures(0)
    right = evaluate(
        dict(type='mmdense.MembraneMetric'), (0.02 + 0.96 * truth, truth))
    assert [right[f'{k}_error'] for k in ('pixel', 'rand', 'warping')] == [0
                                                                          ] * 3
    swapped = evaluate(
        dict(type='mmdense.MembraneMetric', cell=0),
        (1 - (0.02 + 0.96 * truth), 1 - truth))
    assert swapped['pixel_error'] == 0 == swapped['rand_error']


def test_one_channel_is_the_probability_of_class_1():
    probability, truth = pictures(0)
    sample = dict(
        seg_logits=dict(data=torch.tensor(probability)[None]),
        gt_sem_seg=dict(data=torch.tensor(truth)[None]))
    metric = METRICS.build(dict(type='mmdense.MembraneMetric'))
    metric.process({}, [sample])
    expected = evaluate(
        dict(type='mmdense.MembraneMetric'), (probability, truth))
    assert metric.evaluate(1) == pytest.approx(expected)


def test_seg_is_the_mean_over_the_cells_of_all_images():
    truth = np.array([[1, 1, 1, 1, 0, 1, 1, 1]])
    found = np.array([[1, 1, 1, 0, 0, 1, 0, 0]])
    one_more = np.array([[0, 1, 1, 0, 0, 0, 0, 0]])
    result = evaluate(
        dict(type='mmdense.CellOverlapMetric'), (0.02 + 0.9 * found, truth),
        (0.02 + 0.9 * one_more, one_more))
    assert result == dict(SEG=pytest.approx((0.75 + 0 + 1) / 3))


def test_what_is_predicted_on_ignored_pixels_does_not_count():
    truth = np.array([[1, 1, 0, 255, 255, 1, 1, 0]])
    for between in np.ndindex(2, 2):
        found = np.array([[1, 1, 0, *between, 1, 0, 0]])
        assert evaluate(
            dict(type='mmdense.CellOverlapMetric'),
            (0.02 + 0.9 * found, truth)) == dict(SEG=0.5)
    # Where nothing is ignored, one cell is predicted beyond its truth.
    assert evaluate(
        dict(type='mmdense.CellOverlapMetric', ignore_index=-1),
        (0.02 + 0.9 * np.array([[1, 1, 1, 1, 0, 0, 0, 0]]),
         truth)) == dict(SEG=0.25)


def test_seg_without_cells_is_no_number():
    nothing = np.zeros((3, 4), int)
    result = evaluate(
        dict(type='mmdense.CellOverlapMetric'), (nothing + 0.1, nothing))
    assert np.isnan(result['SEG'])


def test_a_cell_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match='cell must be .* 2, got 2'):
        evaluate(dict(type='mmdense.MembraneMetric', cell=2), pictures(0))


def test_ignored_pixels_count_in_no_error():
    """Half the image without a label, the rest predicted perfectly."""
    _, truth = pictures(0)
    truth[:, 12:] = 255
    for noise in (0, 1):
        probability = np.where(truth == 255, noise, truth)
        found = evaluate(
            dict(type='mmdense.MembraneMetric'),
            (0.02 + 0.96 * probability, truth))
        assert [found[f'{k}_error'] for k in ('pixel', 'rand', 'warping')
                ] == [0] * 3
    # One wrong pixel, of those that count.
    probability[2, 2] = 0
    found = evaluate(
        dict(type='mmdense.MembraneMetric'),
        (0.02 + 0.96 * probability, truth))
    assert found['pixel_error'] == found['warping_error'] == 1 / 240


def test_an_image_of_ignored_pixels_is_left_out():
    probability, truth = pictures(0)
    nothing = np.full_like(truth, 255)
    metric = dict(type='mmdense.MembraneMetric')
    both = evaluate(metric, (probability, truth), (probability, nothing))
    assert both == evaluate(metric, (probability, truth))
    assert np.isnan(evaluate(metric, (probability, nothing))['pixel_error'])


@pytest.mark.parametrize('kind', ['MembraneMetric', 'CellOverlapMetric',
                                  'SegmentationScores'])
def test_a_metric_alone_writes_what_out_asks_for(kind, tmp_path):
    """mmseg's script sets both in the dict of the evaluator."""
    metric = METRICS.build(dict(
        type=f'mmdense.{kind}', output_dir=str(tmp_path), keep_results=True))
    metric.dataset_meta = dict(classes=('membrane', 'cell'))
    label = torch.tensor([[[0, 1], [1, 1]]])
    metric.process({}, [
        dict(
            seg_logits=dict(data=torch.cat([1 - label, label]).float()),
            pred_sem_seg=dict(data=label),
            gt_sem_seg=dict(data=label),
            img_path='folder/7.tif')
    ])
    assert metric.evaluate(1)
    written = cv2.imread(str(tmp_path / '7.png'), cv2.IMREAD_UNCHANGED)
    assert written.tolist() == [[0, 1], [1, 1]]
