"""Synthetic rooms with depth."""
import cv2
import numpy as np

from mmdense.datasets import make_room_set
from mmdense.datasets.hha import hha
from mmdense.datasets.synthetic.rooms import FOCAL, room


def test_the_layout_is_that_of_the_recipes(tmp_path):
    folder = make_room_set(
        tmp_path / 'set', train=2, val=1, size=(48, 64), workers=1)
    assert (folder / 'train.txt').read_text() == '00000\n00001\n'
    assert (folder / 'test.txt').read_text() == '00002\n'
    image, depth, label = (
        cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED)
        for path in ('images/00002.jpg', 'depth/00002.png',
                     'labels/00002.png'))
    assert image.shape == (48, 64, 3)
    assert (depth.dtype, label.dtype) == (np.uint16, np.uint8)
    assert depth.min() > 300 and set(np.unique(label)) <= {1, 2, 3}
    again = make_room_set(
        tmp_path / 'again', train=2, val=1, size=(48, 64), workers=1)
    for path in ('images/00001.jpg', 'depth/00002.png'):
        assert (again / path).read_bytes() == (folder / path).read_bytes()


def test_hha_tells_the_floor_from_the_wall():
    _, depth, label = room(np.random.default_rng(1), (96, 128), 'easy')
    focal = FOCAL * 128
    found = hha(depth / 1000, (focal, focal, 64, 48))
    floor, wall = label == 2, label == 1
    assert floor.sum() > 200 and wall.sum() > 200
    assert abs(np.median(found[floor][:, 2]) - 255) < 6
    assert abs(np.median(found[wall][:, 2]) - 127.5) < 6
    assert np.median(found[floor][:, 1]) < 6
