"""Synthetic cells that touch, in the Cell Tracking Challenge's layout."""
import cv2
import numpy as np
from scipy import ndimage

from mmdense.datasets import make_cell_set
from mmdense.datasets.synthetic.cells import cell_frame


def test_the_layout_is_that_of_the_challenge(tmp_path):
    folder = make_cell_set(
        tmp_path / 'set', train=2, val=1, size=(64, 72), workers=1)
    assert sorted(
        str(p.relative_to(folder)) for p in folder.rglob('*.tif')) == [
            '01/t000.tif', '01/t001.tif', '01_ST/SEG/man_seg000.tif',
            '01_ST/SEG/man_seg001.tif', '02/t000.tif',
            '02_ST/SEG/man_seg000.tif'
        ]
    image = cv2.imread(str(folder / '01/t001.tif'), cv2.IMREAD_UNCHANGED)
    cells = cv2.imread(
        str(folder / '01_ST/SEG/man_seg001.tif'), cv2.IMREAD_UNCHANGED)
    assert image.shape == cells.shape == (64, 72)
    assert (image.dtype, cells.dtype) == (np.uint8, np.uint16)
    before = (folder / '01/t001.tif').read_bytes()
    again = make_cell_set(
        tmp_path / 'again', train=2, val=1, size=(64, 72), workers=1)
    assert (again / '01/t001.tif').read_bytes() == before


def test_cells_are_whole_and_many_touch():
    _, cells = cell_frame(np.random.default_rng(0), (200, 220), 'easy')
    numbers = range(1, cells.max() + 1)
    assert len(numbers) > 10
    assert all(ndimage.label(cells == k)[1] == 1 for k in numbers)
    # Pieces of the mask are fewer than cells.
    assert ndimage.label(cells > 0)[1] < 0.8 * len(numbers)
