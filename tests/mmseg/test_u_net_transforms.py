"""The steps of U-Net's pipeline, alone and one after the other."""
import random
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS, DefaultScope

pytest.importorskip('mmseg')

from mmcv.transforms import Compose  # noqa: E402
from mmengine.config import Config  # noqa: E402

from mmdense.datasets.border_weights import border_weights  # noqa: E402
from mmdense.mmseg import transforms  # noqa: E402


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(kind, **options):
    return TRANSFORMS.build(dict(type=f'mmdense.{kind}', **options))


def sample(size=(40, 52), seed=0):
    """An image whose pixels are brighter where its label is 1."""
    noise = np.random.default_rng(seed).normal(size=size)
    label = (cv2.GaussianBlur(noise, (0, 0), 4) > 0).astype(np.uint8)
    image = np.stack([40 + 160 * label] * 3, -1).astype(np.uint8)
    return dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map'],
                img_shape=size)


def test_labels_from_values_become_class_indices():
    results = dict(gt_seg_map=np.array([[0, 255], [255, 0]], np.uint8))
    results = build('LabelsFromValues', values=[0, 255])(results)
    assert results['gt_seg_map'].tolist() == [[0, 1], [1, 0]]


def test_an_image_without_labels_passes():
    image = dict(img=np.zeros((4, 4), np.uint8))
    assert build('LabelsFromValues', values=[0, 255])(image) == image


def test_a_value_of_no_class_is_named():
    results = dict(
        gt_seg_map=np.array([[0, 7, 255]], np.uint8), seg_map_path='x/3.png')
    with pytest.raises(ValueError, match=r'x/3.png: pixels .*0, 255.* \[7\]'):
        build('LabelsFromValues', values=[0, 255])(results)


def test_weights_are_those_of_the_label_and_join_the_maps():
    results = build('BorderWeights', sigma=3)(sample())
    np.testing.assert_array_equal(
        results['gt_weight_map'],
        border_weights(results['gt_seg_map'], sigma=3))
    assert results['seg_fields'] == ['gt_seg_map', 'gt_weight_map']


def test_weights_are_computed_once_for_a_label_and_its_options(
        tmp_path, monkeypatch):
    calls = []

    def counted(label, **options):
        if label.size:  # not the step's look at its options
            calls.append(options)
        return border_weights(label, **options)

    monkeypatch.setattr(transforms, 'border_weights', counted)

    def weights(seed=0, **options):
        step = build('BorderWeights', cache_dir=str(tmp_path), **options)
        return step(sample(seed=seed))['gt_weight_map']

    first = weights()
    np.testing.assert_array_equal(weights(), first)
    assert len(calls) == 1
    assert not np.array_equal(weights(seed=1), first)
    assert not np.array_equal(weights(w0=3), first)
    assert len(calls) == 3 == len(list(tmp_path.iterdir()))


def test_a_file_cut_short_is_computed_again(tmp_path):
    step = build('BorderWeights', cache_dir=str(tmp_path))
    first = step(sample())['gt_weight_map']
    (path, ) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-8])
    np.testing.assert_array_equal(step(sample())['gt_weight_map'], first)
    assert path.stat().st_size == first.nbytes


def test_deformation_moves_image_and_maps_alike():
    np.random.seed(3)  # noqa: NPY002
    before = sample((64, 80))
    before['gt_seg_map'] *= 9  # so that a mixture would be seen
    before = build('BorderWeights', cell=9)(before)
    weights = before['gt_weight_map'].copy()
    label = before['gt_seg_map'].copy()
    after = build('ElasticDeformation', std=6)(before)
    moved = after['gt_seg_map'] != label
    assert 0.02 < moved.mean() < 0.6
    assert set(np.unique(after['gt_seg_map'])) == {0, 9}
    # Image and label still agree but for the seams between pixels.
    bright = after['img'][..., 0] > 120
    assert (bright == (after['gt_seg_map'] == 9)).mean() > 0.98
    assert after['gt_weight_map'].dtype == np.float32
    assert weights.min() - 1e-5 < after['gt_weight_map'].min()
    assert after['gt_weight_map'].max() < weights.max() + 1e-5


def test_deformation_follows_the_seed_mmengine_sets():
    outputs = []
    for seed in (0, 0, 1):
        np.random.seed(seed)  # noqa: NPY002
        outputs.append(build('ElasticDeformation')(sample())['gt_seg_map'])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


def test_displacements_have_ten_pixels_of_spread_on_three_by_three_points():
    np.random.seed(0)  # noqa: NPY002
    step = build('ElasticDeformation')
    vectors = np.stack([step._vectors() for _ in range(300)])
    assert vectors.shape[1:] == (2, 3, 3)
    assert vectors.std() == pytest.approx(10, rel=0.05)


def test_mirrored_outwards_the_middle_stays():
    before = sample((6, 9))
    image, label = before['img'].copy(), before['gt_seg_map'].copy()
    after = build('MirrorPad', context=8)(before)
    assert after['img'].shape == (22, 25, 3)
    assert after['img_shape'] == after['gt_seg_map'].shape == (22, 25)
    np.testing.assert_array_equal(after['img'][8:-8, 8:-8], image)
    np.testing.assert_array_equal(after['gt_seg_map'][8:-8, 8:-8], label)
    np.testing.assert_array_equal(after['img'][7, 8:-8], image[1])


def test_the_pipeline_keeps_image_label_and_weights_together():
    np.random.seed(1)  # noqa: NPY002
    context = 8
    pipeline = Compose([
        dict(type='mmdense.BorderWeights'),
        dict(type='mmdense.ElasticDeformation', std=4),
        dict(type='RandomRotFlip', rotate_prob=0, flip_prob=1),
        dict(type='mmdense.MirrorPad', context=context),
        dict(type='RandomCrop', crop_size=(44, 48)),
        dict(type='mmdense.PackWeightedSegInputs')
    ])
    packed = pipeline(sample((48, 48)))
    data = packed['data_samples']
    weights = data.gt_weight_map.data
    assert packed['inputs'].shape == (3, 44, 48)
    assert weights.shape == data.gt_sem_seg.data.shape == (1, 44, 48)
    assert weights.dtype == torch.float32
    label = data.gt_sem_seg.data[0].bool()
    assert ((packed['inputs'][0] > 120) == label).float().mean() > 0.97
    # The rarer class weighs more; a pixel in ten may be near a gap.
    rare = label if label.float().mean() < 0.5 else ~label
    assert weights[0][rare].median() > weights[0][~rare].median() > 0


@pytest.mark.parametrize('name', ['unet', 'unet-rigid', 'unet-unweighted'])
def test_the_full_recipes_turn_and_mirror_into_all_eight_orientations(name):
    file = Path(__file__).parents[2] / 'configs/mmseg/unet' / \
        f'{name}_1xb1-20k_isbi2012-572x572.py'
    steps = Config.fromfile(file).train_dataloader.dataset.pipeline
    turns = Compose([s for s in steps if s.type == 'RandomRotFlip'])
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    seen = Counter()
    for _ in range(400):
        picture = np.arange(4).reshape(2, 2)
        seen[turns(dict(img=picture))['img'].tobytes()] += 1
    assert len(seen) == 8 and min(seen.values()) > 25


def test_packing_without_weights_is_refused():
    with pytest.raises(KeyError, match='put BorderWeights earlier'):
        build('PackWeightedSegInputs')(sample())


@pytest.mark.parametrize('kind, options, message', [
    ('ElasticDeformation', dict(std=-1), 'std must be at least 0, got -1'),
    ('ElasticDeformation', dict(grid=1), 'grid must be at least 2, got 1'),
    ('MirrorPad', dict(context=-1), 'context must be at least 0, got -1'),
])
def test_wrong_options_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        build(kind, **options)


def test_isbi_slices_are_read_as_two_classes(tmp_path):
    from mmseg.registry import DATASETS
    base = Path(__file__).parents[2] / 'configs/mmseg/_base_/datasets'
    config = Config.fromfile(base / 'isbi2012.py')
    for folder in ('image', 'label'):
        (tmp_path / 'train' / folder).mkdir(parents=True)
    for number in range(30):
        label = np.zeros((8, 8), np.uint8)
        label[:, 4:] = 255
        for folder, picture in (('image', label // 2 + number),
                                ('label', label)):
            cv2.imwrite(
                str(tmp_path / 'train' / folder / f'{number}.png'), picture)
    seen = []
    for loader in (config.train_dataloader, config.val_dataloader):
        data = DATASETS.build(
            dict(loader.dataset, data_root=str(tmp_path),
                 pipeline=config.load))
        seen.append([int(item['img'][0, 0]) for item in data])
        assert data[0]['img'].shape == (8, 8)
        assert data[0]['gt_seg_map'].tolist() == [[0] * 4 + [1] * 4] * 8
    assert sorted(seen[0]) == list(range(25))
    assert sorted(seen[1]) == [25, 26, 27, 28, 29]
