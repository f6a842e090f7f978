"""Single cells reach the metrics, the masks and the weights of the loss."""
import math
import warnings

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import (
    DATASETS,
    METRICS,
    MODELS,
    TRANSFORMS,
    DefaultScope,
)

pytest.importorskip('mmseg')

from mmcv.transforms import Compose  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402
from scipy import ndimage  # noqa: E402

from mmdense.datasets import make_membrane_set  # noqa: E402
from mmdense.datasets.border_weights import border_weights  # noqa: E402


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(kind, **options):
    return TRANSFORMS.build(dict(type=f'mmdense.{kind}', **options))


def evaluate(metric, *samples):
    metric = METRICS.build(metric)
    metric.dataset_meta = dict(classes=('background', 'cell'))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def sample(prediction, label, ids=None):
    maps = dict(pred_sem_seg=prediction, gt_sem_seg=label)
    if ids is not None:
        maps['gt_instance_map'] = ids
    return {
        name: dict(data=torch.as_tensor(value.astype(np.int64))[None])
        for name, value in maps.items()
    }


# Four squares of 28 pixels that touch, and a frame of background.
SQUARES = np.pad(
    np.kron([[1, 2], [3, 4]], np.ones((28, 28), int)), 4).astype(np.uint16)


def masked(ids, **options):
    results = dict(
        gt_instance_map=ids, seg_map_path='x', seg_fields=['gt_instance_map'])
    return build('MaskFromInstances', **options)(results)['gt_seg_map']


@pytest.mark.parametrize('gap, expected', [(True, (27 / 28)**2),
                                           (False, 0.25)])
def test_seg_of_four_squares_that_touch(gap, expected):
    label = masked(SQUARES)
    prediction = label if gap else (SQUARES > 0)
    found = evaluate(
        dict(type='mmdense.CellOverlapMetric'),
        sample(prediction, label, SQUARES))
    assert found == dict(SEG=pytest.approx(expected))
    assert round((27 / 28)**2, 3) == 0.93


def test_seg_counts_the_cells_of_its_class_alone():
    ids = np.array([[7, 7, 7, 7, 0, 300, 300, 300]])
    # The last pixel of the first cell is a gap, 300 is of class 2.
    label = np.array([[1, 1, 1, 0, 0, 2, 2, 2]])
    prediction = np.array([[1, 1, 1, 0, 0, 1, 0, 0]])
    for cell, expected in ((1, 0.75), (2, 0)):
        assert evaluate(
            dict(type='mmdense.CellOverlapMetric', cell=cell),
            sample(prediction, label, ids)) == dict(SEG=expected)


def test_seg_of_several_kinds_counts_each_cell_once():
    # A cell of each kind, one of none, and one whose pixels all are a gap.
    ids = np.array([[7, 7, 7, 0, 300, 300, 4, 4, 4, 0, 9]])
    label = np.array([[1, 1, 1, 0, 2, 2, 3, 3, 3, 0, 0]])
    prediction = np.array([[1, 1, 0, 0, 1, 1, 1, 2, 2, 0, 0]])
    metric = dict(type='mmdense.CellOverlapMetric')
    for cell, expected in ((1, [2 / 3, 0]), ([1], [2 / 3, 0]),
                           ([1, 2], [2 / 3, 0, 0]),
                           ([1, 2, 3], [2 / 3, 0, 0, 0])):
        assert evaluate(
            dict(metric, cell=cell), sample(prediction, label, ids)
        ) == dict(SEG=pytest.approx(sum(expected) / len(expected)))
    # Without numbers: pieces of 1, 2 and 3.
    assert evaluate(dict(metric, cell=[1, 2, 3]), sample(prediction, label)
                    ) == dict(SEG=pytest.approx(2 / 9))
    for wrong, message in (([], 'at least one'), ([1, -1], r'cell\[1\]')):
        with pytest.raises(ValueError, match=message):
            METRICS.build(dict(metric, cell=wrong))


def test_cells_that_are_ignored_are_not_counted():
    ids = np.array([[1, 1, 1, 1, 2, 2]])
    label = np.array([[1, 1, 255, 255, 255, 255]])
    prediction = np.array([[1, 1, 1, 0, 0, 1]])
    assert evaluate(
        dict(type='mmdense.CellOverlapMetric'),
        sample(prediction, label, ids)) == dict(SEG=1)


@pytest.mark.parametrize('margin', [0, 1, 2])
def test_touching_cells_are_parted_and_others_left(margin):
    ids = np.zeros((9, 30), np.uint16)
    ids[:, :8], ids[:, 8:16] = 5, 900
    # Two columns of background, then the third.
    ids[:, 18:] = 2
    mask = masked(ids, margin=margin)
    gap = np.zeros(30, bool)
    gap[8 - margin:8 + margin] = True
    gap[16:18] = True
    assert np.array_equal(mask == 0, np.broadcast_to(gap, mask.shape))
    pieces = ndimage.label(mask, np.ones((3, 3)))[1]
    assert pieces == (2 if margin == 0 else 3)


def test_a_gap_is_cut_between_two_classes_and_what_is_ignored_stays():
    results = dict(
        gt_instance_map=np.array([[1, 1, 1, 2, 2, 2, 3, 3]], np.uint16),
        gt_seg_map=np.array([[1, 1, 1, 2, 2, 255, 1, 1]], np.uint8),
        seg_map_path='x',
        seg_fields=['gt_seg_map', 'gt_instance_map'])
    found = build('MaskFromInstances')(results)
    assert found['gt_seg_map'].tolist() == [[1, 1, 0, 0, 2, 255, 0, 1]]
    assert found['gt_instance_map'].tolist() == [[1, 1, 1, 2, 2, 2, 3, 3]]


def test_the_seam_of_two_touching_cells_weighs_most():
    """Equation 2 by hand, in a row through two cells that touch."""
    ids = np.zeros((5, 20), np.uint16)
    ids[:, 2:10], ids[:, 10:18] = 1, 2
    label = (ids > 0).astype(np.uint8)
    without = border_weights(label)
    weights = border_weights(label, instances=ids)
    balance = label[2, 9] and 100 / (2 * label.sum())
    # The pixel is on the border of its own cell, one from the other's.
    assert weights[2, 9] == pytest.approx(
        balance + 10 * math.exp(-1 / 50), rel=1e-6)
    assert without[2, 9] == pytest.approx(balance)
    assert weights[2, 9] > weights[2, 5] > without[2, 5]


def test_cells_of_two_classes_have_a_seam_too():
    label = np.zeros((5, 20), np.uint8)
    label[:, 2:10], label[:, 10:18] = 1, 2
    ids = label.astype(np.uint16)
    np.testing.assert_array_equal(
        border_weights(label, cell=[1, 2]),
        border_weights(label, instances=ids))
    assert border_weights(label, cell=[1, 2])[2, 9] > 9 > border_weights(
        label)[2, 9]


def test_weights_in_a_pipeline_are_of_the_instances(tmp_path):
    results = dict(
        gt_seg_map=masked(SQUARES), gt_instance_map=SQUARES, seg_fields=[])
    for folder in (None, tmp_path):
        for _ in range(2):
            found = build('BorderWeights', cache_dir=folder)(dict(results))
            np.testing.assert_array_equal(
                found['gt_weight_map'],
                border_weights(results['gt_seg_map'], instances=SQUARES))
    # Other cells under one label map are another entry of the cache.
    results['gt_instance_map'] = (SQUARES > 0).astype(np.uint16)
    other = build('BorderWeights', cache_dir=tmp_path)(results)
    assert not np.array_equal(other['gt_weight_map'], found['gt_weight_map'])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_numbers_above_255_survive_to_the_sample(tmp_path, suffix):
    ids = np.array([[0, 256, 256, 0, 65535, 1]], np.uint16)
    path = str(tmp_path / f'a.{suffix}')
    cv2.imwrite(path, ids)
    steps = Compose([
        dict(type='mmdense.LoadInstances'),
        dict(type='mmdense.MaskFromInstances', margin=0),
        dict(type='mmdense.PackInstanceSegInputs')
    ])
    packed = steps(dict(seg_map_path=path, seg_fields=[]))['data_samples']
    assert packed.gt_instance_map.data.tolist() == [ids.tolist()]
    assert packed.gt_sem_seg.data.tolist() == [[[0, 1, 1, 0, 1, 1]]]


def test_numbers_above_16_bits_are_counted_anew(tmp_path):
    path = str(tmp_path / 'a.tif')
    cv2.imwrite(path, np.array([[0, 70000, 70000, 3, 99999]], np.int32))
    found = build('LoadInstances')(dict(seg_map_path=path, seg_fields=[]))
    assert found['gt_instance_map'].tolist() == [[0, 2, 2, 1, 3]]


def test_the_sets_own_instances_part_the_cells(tmp_path):
    """`make_data.py membranes` writes them beside the labels."""
    folder = make_membrane_set(
        tmp_path / 'set', train=1, val=0, size=(96, 96), workers=1)
    results = dict(
        seg_map_path=str(folder / 'train/index/0.png'), seg_fields=[])
    for step in (build('LoadLabels'),
                 build('LoadInstances', folder='instance'),
                 build('BorderWeights')):
        results = step(results)
    ids = cv2.imread(
        str(folder / 'train/instance/0.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(results['gt_instance_map'], ids)
    np.testing.assert_allclose(
        results['gt_weight_map'],
        border_weights(results['gt_seg_map'], instances=ids))
    assert results['seg_fields'] == [
        'gt_seg_map', 'gt_instance_map', 'gt_weight_map'
    ]


def test_an_image_without_labels_passes_all_steps():
    image = dict(img=np.zeros((4, 4, 3), np.uint8), img_path='x')
    for kind, options in (('LoadLabels', {}), ('LoadInstances', {}),
                          ('LabelsFromValues', dict(values=[0, 256])),
                          ('MaskFromInstances', {})):
        assert build(kind, **options)(image) == image
    packed = build('PackInstanceSegInputs')(image)
    assert 'gt_instance_map' not in packed['data_samples']


def test_labels_of_16_bits_keep_their_values(tmp_path):
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, np.array([[0, 256], [1000, 256]], np.uint16))
    steps = Compose([
        dict(type='mmdense.LoadLabels'),
        dict(type='mmdense.LabelsFromValues', values=[0, 256, 1000])
    ])
    found = steps(dict(seg_map_path=path, seg_fields=[]))
    assert found['gt_seg_map'].tolist() == [[0, 1], [2, 1]]
    # 256 is not 0, as it is after mmseg's loader.
    with pytest.raises(ValueError, match=r'a\.png: .*\[256, 1000\]'):
        Compose([
            dict(type='mmdense.LoadLabels'),
            dict(type='mmdense.LabelsFromValues', values=[0, 255])
        ])(dict(seg_map_path=path, seg_fields=[]))
    with pytest.raises(ValueError, match='LoadLabels'):
        Compose([
            dict(type='LoadAnnotations'),
            dict(type='mmdense.LabelsFromValues', values=[0, 256, 1000])
        ])(dict(seg_map_path=path, seg_fields=[], reduce_zero_label=False))


@pytest.mark.parametrize('picture, message', [
    (np.zeros((3, 4, 3), np.uint8), r'one channel .* got \(3, 4, 3\)'),
    (np.zeros((3, 4), np.float32), 'of float32'),
])
def test_pictures_that_are_no_labels_are_named(tmp_path, picture, message):
    path = str(tmp_path / 'a.tif')
    cv2.imwrite(path, picture)
    for kind in ('LoadLabels', 'LoadInstances'):
        with pytest.raises(ValueError, match=message):
            build(kind)(dict(seg_map_path=path, seg_fields=[]))


def test_steps_without_what_they_need_are_refused(tmp_path):
    labelled = dict(
        gt_seg_map=np.zeros((2, 2), np.uint8), seg_map_path='x',
        seg_fields=[])
    for kind in ('MaskFromInstances', 'PackInstanceSegInputs'):
        with pytest.raises(KeyError, match='LoadInstances earlier'):
            build(kind)(dict(labelled))
    with pytest.raises(ValueError, match='reduce_zero_label must not be set'):
        build('LoadLabels')(dict(labelled, reduce_zero_label=True))


def weigh(frequencies, share, maps=10):
    step = build('BorderWeights', frequencies=frequencies)
    label = np.zeros((10, 10), np.uint8)
    label.flat[:round(100 * share)] = 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for _ in range(maps):
            step(dict(gt_seg_map=label, seg_fields=[]))
    return [str(w.message) for w in caught if 'frequencies' in str(w.message)]


def test_frequencies_of_another_set_are_noticed():
    # Nuclei, with ISBI's numbers.
    (message, ) = weigh([0.224, 0.776], 0.15)
    assert '[0.85, 0.15]' in message
    assert weigh([0.224, 0.776], 0.7) == []
    assert weigh([0.224, 0.776], 0.15, maps=9) == []
    assert weigh(None, 0.15) == []


@pytest.mark.parametrize('frequencies', [[0.224, 0.776, 0.5], [22, 78],
                                         ['a', 1]])
def test_frequencies_that_are_no_shares_are_refused_early(frequencies):
    with pytest.raises(ValueError, match='frequencies must be the share'):
        build('BorderWeights', frequencies=frequencies)


def test_a_wrong_frequency_is_all_that_is_reported(tmp_path):
    step = build('BorderWeights', cache_dir=tmp_path, frequencies=[1.])
    label = np.eye(4, dtype=np.uint8)
    with pytest.raises(ValueError, match='frequencies must') as caught:
        step(dict(gt_seg_map=label, seg_fields=[]))
    assert caught.value.__context__ is None


def test_indices_of_another_set_are_named(tmp_path):
    for number in range(4):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.zeros((4, 4)))
    options = dict(
        type='mmdense.CellDataset', data_root=str(tmp_path),
        data_prefix=dict(img_path='', seg_map_path=''), img_suffix='.png')
    with pytest.raises(ValueError, match=r'must be below 4, .* got \[4, 29\]'):
        DATASETS.build(dict(options, indices=[0, 4, 29]))
    assert len(DATASETS.build(dict(options, indices=[0, -1]))) == 2


def test_sequences_of_the_challenge_are_read(tmp_path):
    for folder in ('01', '01_ST/SEG', '01_GT/SEG', '02', '02_ST/SEG'):
        (tmp_path / folder).mkdir(parents=True)
    for sequence in ('01', '02'):
        for frame in range(3):
            cv2.imwrite(str(tmp_path / f'{sequence}/t{frame:03d}.tif'),
                        np.full((4, 6), 10 * frame, np.uint8))
            cv2.imwrite(
                str(tmp_path / f'{sequence}_ST/SEG/man_seg{frame:03d}.tif'),
                np.full((4, 6), 300 + frame, np.uint16))
    cv2.imwrite(str(tmp_path / '01_GT/SEG/man_seg002.tif'),
                np.full((4, 6), 7, np.uint16))
    options = dict(
        type='mmdense.CellTrackingDataset', data_root=str(tmp_path),
        pipeline=[
            dict(type='LoadImageFromFile', color_type='grayscale'),
            dict(type='mmdense.LoadInstances')
        ])
    both = DATASETS.build(dict(options, sequences=['01', '02']))
    assert [int(item['gt_instance_map'][0, 0]) for item in both] == [
        300, 301, 302] * 2
    # Gold truth has one frame; image and label are of the same.
    (gold, ) = DATASETS.build(dict(options, truth='GT'))
    assert (gold['img'][0, 0], gold['gt_instance_map'][0, 0]) == (20, 7)
    with pytest.raises(FileNotFoundError, match='02_GT.SEG must hold'):
        DATASETS.build(dict(options, sequences=['02'], truth='GT'))
    with pytest.raises(ValueError, match="truth must be 'ST' or 'GT'"):
        DATASETS.build(dict(options, truth='SEG'))


def view(logits, flip=False):
    data = SegDataSample(
        seg_logits=PixelData(data=logits),
        pred_sem_seg=PixelData(data=logits.argmax(0, keepdim=True)),
        gt_sem_seg=PixelData(data=torch.tensor([[[1, 1, 0, 0]]])),
        metainfo=dict(img_path='x.png', flip=flip))
    data.gt_instance_map = PixelData(data=torch.tensor([[[1, 2, 0, 0]]]))
    return data


@pytest.mark.parametrize('kind', ['SegTTAModel',
                                  'mmdense.ProbabilityTTAModel'])
def test_the_merged_prediction_of_all_views_is_scored(kind):
    """Three right views, and a last one that is wrong everywhere."""
    right = torch.tensor([[[-2., -2, 2, 2]], [[2., 2, -2, -2]]])
    merged, = MODELS.build(
        dict(type=kind, module=Logits())).merge_preds(
            [[view(right), view(right), view(right),
              view(-0.5 * right, flip=True)]])
    assert merged.pred_sem_seg.data.tolist() == [[[1, 1, 0, 0]]]
    metrics = [
        dict(type='mmdense.MembraneMetric'),
        dict(type='mmdense.SegmentationScores'),
        dict(type='mmdense.CellOverlapMetric')
    ]
    errors, scores, overlap = (
        evaluate(metric, merged.to_dict()) for metric in metrics)
    assert errors['pixel_error'] == errors['warping_error'] == 0
    assert ('pixel_error_threshold' in errors) == (kind != 'SegTTAModel')
    assert scores['pixel_accuracy'] == 100
    assert overlap['SEG'] == 0.5  # one piece over two true cells
    if kind != 'SegTTAModel':
        probability = merged.seg_logits.data.softmax(0)[1, 0, 0]
        expected = (3 * torch.tensor(4.).sigmoid() +
                    torch.tensor(-2.).sigmoid()) / 4
        torch.testing.assert_close(probability, expected)


def test_one_logit_is_merged_once():
    """mmseg's own model takes the sigmoid of probabilities again."""
    views = []
    for p in (0.2, 0.9):
        probability = torch.full((1, 1, 4), p)
        probability[..., 2:] = 0.1
        data = view(torch.zeros(2, 1, 4))
        data.seg_logits = PixelData(data=probability)
        views.append(data)
    merged, = MODELS.build(
        dict(type='mmdense.ProbabilityTTAModel',
             module=Logits())).merge_preds([views])
    assert merged.pred_sem_seg.data.tolist() == [[[1, 1, 0, 0]]]
    torch.testing.assert_close(merged.seg_logits.data[0, 0, 0],
                               torch.tensor(0.55))
    for metric in ('MembraneMetric', 'SegmentationScores'):
        found = evaluate(dict(type=f'mmdense.{metric}'), merged.to_dict())
        assert found.get('pixel_error', 0) == 0
        assert found.get('pixel_accuracy', 100) == 100


class Logits(torch.nn.Module):
    """Of a network what a model for test time augmentation asks."""
    out_channels = 2
    decode_head = Config(dict(threshold=0.3))

    def test_step(self, data):
        raise NotImplementedError
