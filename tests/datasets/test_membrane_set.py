"""Membrane slices: image, labels and instances tell the same story."""
import cv2
import numpy as np
import pytest

from mmdense.datasets import make_membrane_set
from mmdense.datasets.synthetic.membranes import membrane_slice


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_membrane_set(
        tmp_path_factory.mktemp('membranes') / 'set', train=3, val=2,
        size=(96, 128), seed=4, workers=1)


def read(root, folder, index, split='train'):
    return cv2.imread(str(root / split / folder / f'{index}.png'),
                      cv2.IMREAD_UNCHANGED)


def test_labels_follow_from_the_instances(root):
    for index in range(3):
        cells = read(root, 'instance', index)
        label, classes = read(root, 'label', index), read(root, 'index', index)
        assert cells.dtype == np.uint16 and cells.shape == (96, 128)
        np.testing.assert_array_equal(label, np.where(cells, 255, 0))
        np.testing.assert_array_equal(classes, np.where(cells, 1, 0))
        assert np.unique(cells).tolist() == list(range(cells.max() + 1))
        assert cells.max() > 4


@pytest.mark.parametrize('difficulty', ['easy', 'normal', 'hard'])
def test_a_cell_is_one_piece_and_touches_no_other(difficulty):
    _, cells = membrane_slice(
        np.random.default_rng(0), (128, 160), difficulty)
    pieces, _ = cv2.connectedComponents((cells > 0).astype(np.uint8),
                                        connectivity=8)
    assert pieces - 1 == cells.max()
    for number in range(1, cells.max() + 1):
        own = (cells == number).astype(np.uint8)
        assert cv2.connectedComponents(own, connectivity=8)[0] == 2


def test_membranes_are_thin_and_darker_than_cells():
    for seed in range(4):
        image, cells = membrane_slice(
            np.random.default_rng(seed), (128, 128), 'normal')
        wall = cells == 0
        assert image.dtype == np.uint8 and 0.05 < wall.mean() < 0.45
        assert image[wall].mean() < image[~wall].mean() - 25


def test_a_slice_too_large_for_its_ids_is_refused(tmp_path):
    with pytest.raises(ValueError, match='16-bit'):
        make_membrane_set(tmp_path / 'set', size=(8000, 8000))


def test_mmseg_reads_the_membranes(root):
    pytest.importorskip('mmseg')
    from mmseg.datasets import BaseSegDataset
    data = BaseSegDataset(
        data_root=str(root), img_suffix='.png', seg_map_suffix='.png',
        data_prefix=dict(img_path='val/image', seg_map_path='val/index'),
        metainfo=dict(classes=('membrane', 'cell')),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='mmseg.LoadAnnotations')])
    assert len(data) == 2
    item = data[1]
    assert item['img'].shape == (96, 128, 3)
    np.testing.assert_array_equal(item['gt_seg_map'],
                                  read(root, 'index', 1, 'val'))
