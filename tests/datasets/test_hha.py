"""HHA of planes, computed by hand."""
import numpy as np
import pytest

from mmdense.datasets.hha import (
    gravity_direction,
    hha,
    surface_normals,
)

CAMERA = (100., 110., 40., 30.)
DOWN = (0, 1, 0)
X, Y = np.meshgrid((np.arange(80) - 40) / 100, (np.arange(60) - 30) / 110)


def plane(normal, distance):
    """Depth of ``normal . p = distance``; 0 where no ray meets it."""
    inverse = (normal[0] * X + normal[1] * Y + normal[2]) / distance
    return np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1),
                    0).astype(np.float32)


def pitched(degrees):
    """Down, of a camera that looks up or down, and forward on the ground."""
    angle = np.radians(degrees)
    return (np.array([0, np.cos(angle), np.sin(angle)]),
            np.array([0, -np.sin(angle), np.cos(angle)]))


def room(degrees):
    """A floor 1.5 m below the camera and a wall 9 m in front of it."""
    down, ahead = pitched(degrees)
    floor, wall = plane(down, 1.5), plane(ahead, 9)
    here = (floor > 0) & (floor < wall)
    return np.where(here, floor, wall), here


def test_a_wall():
    found = hha(plane((0, 0, 1), 2), CAMERA, DOWN)
    assert np.allclose(found[..., 0], 255 / 2)
    assert np.allclose(found[..., 2], 255 / 2, atol=1e-3)
    # From the lowest row on, 2 m a unit of the ray.
    height = 100 * 2 * (Y.max() - Y)
    assert np.allclose(found[..., 1], height, atol=1)
    assert found.dtype == np.float32 and found.shape == (60, 80, 3)


def test_a_floor_and_what_is_missing():
    depth = plane(DOWN, 1.5)
    found = hha(depth, CAMERA, (0, 9, 0))
    here = np.index_exp[40:, 5:-5]
    assert np.allclose(found[here][..., 2], 255, atol=0.1)
    assert np.allclose(found[here][..., 1], 0, atol=1e-2)
    assert np.allclose(found[here][..., 0],
                       np.minimum(255 / depth[here], 255))
    assert not found[:31].any()
    depth[45, 9] = np.nan
    assert not hha(depth, CAMERA, DOWN)[45, 9].any()


def test_a_ceiling_is_at_0_and_a_step_of_half_a_metre_at_50():
    ceiling = hha(plane((0, -1, 0), 1.2), CAMERA, DOWN)
    assert np.allclose(ceiling[5:20, 5:-5, 2], 0, atol=0.5)
    depth = plane(DOWN, 1.5)
    depth[:, 40:] = plane(DOWN, 1.)[:, 40:]
    found = hha(depth, CAMERA, DOWN)[40:]
    assert np.allclose(found[:, 10:30, 1], 0, atol=1e-2)
    assert np.allclose(found[:, 50:70, 1], 50, atol=1e-2)


@pytest.mark.parametrize('normal', [(0, 0, 1), (.3, -.5, .81), (-.6, .2, .7)])
def test_normals_of_a_plane_are_exact(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    depth = plane(normal, 3)
    assert (depth > 0).all()
    found = surface_normals(depth.astype(float), CAMERA)
    assert np.allclose(found, -normal, atol=1e-5)


@pytest.mark.parametrize('degrees', [0, 8, 20])
def test_gravity_is_that_of_the_room(degrees):
    depth, floor = room(degrees)
    down, _ = pitched(degrees)
    found = gravity_direction(surface_normals(depth, CAMERA)[depth > 0])
    assert np.degrees(np.arccos(found @ down)) < 1.5
    channels = hha(depth, CAMERA)
    # Windows along the edge show both.
    for part, angle in ((floor, 255), (~floor, 127.5)):
        assert np.median(np.abs(channels[part][:, 2] - angle)) < 3
    assert np.median(channels[floor][:, 1]) < 12


def test_a_wall_alone_stands_upright():
    found = gravity_direction(
        surface_normals(plane((.3, 0, .95), 2), CAMERA).reshape(-1, 3))
    assert np.allclose(found, DOWN, atol=1e-3)


def test_nothing_to_see_is_all_zero():
    assert not hha(np.zeros((4, 5), np.float32)).any()
    assert gravity_direction(np.zeros((0, 3))).tolist() == [0, 1, 0]


@pytest.mark.parametrize('options, message', [
    (dict(camera=(1, 2, 3)), 'camera must be 4 numbers'),
    (dict(camera=(0, 2, 3, 4)), 'positive focal lengths'),
    (dict(gravity=(0, 0, 0)), 'gravity must be a direction'),
    (dict(gravity=(1, 0)), 'gravity must be 3 numbers'),
])
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        hha(np.ones((3, 3), np.float32), **options)
