"""Any arguments for metrics and data sets of segmentation."""
import math
import tempfile

import numpy as np
import pytest
import torch
from any_arguments import FLAG
from any_registered import any_arguments_of
from hypothesis import strategies as st
from scipy import ndimage

from mmdense.metrics.cell_overlap import cell_overlaps
from mmdense.metrics.membrane_errors import (
    pixel_error,
    rand_error,
    warping_error,
)
from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)

pytest.importorskip('mmseg')


IGNORED = st.sampled_from([255, 0, 1])


def judged(metric, seed):
    """What a metric has seen: logits and truth of two images."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(2):
        logits = torch.from_numpy(rng.normal(size=(2, 6, 7)))
        truth = rng.choice([0, 1, 1, metric.__dict__.get('ignore_index', 0)],
                           (1, 6, 7))
        samples.append(dict(
            seg_logits=dict(data=logits),
            pred_sem_seg=dict(data=logits.argmax(0)[None]),
            gt_sem_seg=dict(data=torch.from_numpy(truth))))
    metric.dataset_meta = dict(classes=['a', 'b'])
    metric.process({}, samples)
    return metric.evaluate(2), samples


@any_arguments_of(
    'MembraneMetric', cell=st.integers(0, 1), thresholds=st.lists(
        st.sampled_from([0, 0.25, 0.5, 1]), min_size=1, max_size=3),
    ignore_index=IGNORED)
def test_membrane_metric(metric, given, seed):
    found, samples = judged(metric, seed)
    maps = [(s['seg_logits']['data'].softmax(0)[given['cell']].numpy(),
             s['gt_sem_seg']['data'][0].numpy() == given['cell'],
             s['gt_sem_seg']['data'][0].numpy() != given['ignore_index'])
            for s in samples]
    for error in (pixel_error, rand_error, warping_error):
        means = [np.mean([error(p > level, truth, counted)
                          for p, truth, counted in maps])
                 for level in given['thresholds']]
        name = error.__name__
        assert found[name] == pytest.approx(min(means))
        assert found[f'{name}_threshold'] == given['thresholds'][
            np.argmin(means)]


@any_arguments_of(
    'CellOverlapMetric', cell=st.integers(0, 1), background=st.integers(0, 1),
    ignore_index=IGNORED)
def test_cell_overlap_metric(metric, given, seed):
    found, samples = judged(metric, seed)
    if isinstance(given['cell'], tuple):
        return  # several classes of cells: tests/mmseg/test_instances.py
    each = []
    for s in samples:
        truth = s['gt_sem_seg']['data'][0].numpy()
        masks = (s['pred_sem_seg']['data'][0].numpy(), truth)
        each += cell_overlaps(*(
            ndimage.label((mask == given['cell'])
                          & (truth != given['ignore_index']))[0]
            for mask in masks)).tolist()
    np.testing.assert_allclose(
        found['SEG'], np.mean(each) if each else math.nan)


@any_arguments_of('SegmentationScores', ignore_index=IGNORED)
def test_segmentation_scores(metric, given, seed):
    found, samples = judged(metric, seed)
    truth, predicted = (
        np.stack([s[key]['data'].numpy() for s in samples])
        for key in ('gt_sem_seg', 'pred_sem_seg'))
    scores = segmentation_scores(
        confusion_matrix(truth, predicted, 2, given['ignore_index']))
    for name, value in found.items():
        np.testing.assert_allclose(value, 100 * scores[name], atol=0.006)


@any_arguments_of(
    'SegEvaluator', host=dict(
        output_dir=st.sampled_from([None, tempfile.gettempdir()]),
        metrics=st.just([dict(type='mmdense.SegmentationScores')])))
def test_seg_evaluator(evaluator, given, seed):
    from mmdense.mmseg.evaluation import SegMetric
    assert len(evaluator.metrics) == 1 + (given['output_dir'] is not None)
    counts = type('Counts', (SegMetric, ), dict(
        judge=lambda self, sample: sample,
        compute_metrics=lambda self, results: dict(n=sum(results))))
    metric = counts(keep_results=True)
    metric.process({}, [seed, 2])
    assert metric.evaluate(2) == dict(n=seed + 2)


@any_arguments_of('CellDataset', host=dict(lazy_init=st.just(True)))
def test_cell_dataset(dataset, given, seed):
    assert not dataset.METAINFO


@any_arguments_of(
    'CellTrackingDataset', sequences=st.sampled_from([['01'], ('01', '02')]),
    truth=st.sampled_from(['ST', 'GT']),
    host=dict(lazy_init=st.just(True), data_root=st.just('x')))
def test_cell_tracking_dataset(dataset, given, seed):
    assert dataset.metainfo['classes'] == ('background', 'cell')
    with pytest.raises(FileNotFoundError, match='got no such pair'):
        dataset.full_init()


@any_arguments_of(
    'NYUDv2Dataset', 'SIFTFlowDataset', 'SIFTFlowGeometryDataset',
    reduce_zero_label=FLAG, host=dict(lazy_init=st.just(True)))
def test_data_sets_of_scenes(dataset, given, seed):
    assert len(dataset.metainfo['classes']) == len(set(
        dataset.metainfo['classes']))
    assert len(dataset.metainfo['palette']) == len(
        dataset.metainfo['classes'])
    assert dataset.reduce_zero_label is given['reduce_zero_label']
