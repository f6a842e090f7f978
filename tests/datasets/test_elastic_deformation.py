"""Deformations: where pixels come from, and the mirror at the border."""
import numpy as np
import pytest

from mmdense.datasets.elastic_deformation import deform, displacement_field


def keys(t, a=-0.75):
    """The cubic kernel between samples, from its definition."""
    t = abs(t)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0


def naive(vectors, size):
    _, rows, columns = vectors.shape
    field = np.zeros((2, *size))
    for y, x in np.ndindex(*size):
        v = y / (size[0] - 1) * (rows - 1)
        u = x / (size[1] - 1) * (columns - 1)
        for i in range(int(v) - 1, int(v) + 3):
            for j in range(int(u) - 1, int(u) + 3):
                near = vectors[:, min(max(i, 0), rows - 1),
                               min(max(j, 0), columns - 1)]
                field[:, y, x] += keys(v - i) * keys(u - j) * near
    return field


def test_displacements_are_bicubic_between_the_grid_points():
    vectors = np.random.default_rng(0).normal(0, 10, (2, 3, 4))
    field = displacement_field(vectors, (9, 13))
    np.testing.assert_allclose(field, naive(vectors, (9, 13)), atol=1e-4)
    np.testing.assert_allclose(
        field[:, ::4, ::4], vectors, atol=1e-5)  # the grid points themselves


def constant(dy, dx, size):
    return np.broadcast_to(
        np.array([dy, dx], np.float32)[:, None, None], (2, *size))


@pytest.mark.parametrize('interpolation', ['nearest', 'linear', 'cubic'])
@pytest.mark.parametrize('channels', [(), (1, ), (3, )])
def test_rows_are_displaced_by_dy_columns_by_dx_mirrored(
        interpolation, channels):
    picture = np.random.default_rng(0).integers(
        0, 255, (6, 8, *channels)).astype(np.uint8)
    out = deform(picture, constant(2, -3, (6, 8)), interpolation)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out[:4, 3:], picture[2:, :-3])
    # Beyond the last row, 5, come 4 and 3; before column 0 come 1, 2 and 3.
    np.testing.assert_array_equal(out[4:, 3:], picture[[4, 3], :-3])
    np.testing.assert_array_equal(out[:4, :3], picture[2:, [3, 2, 1]])


def test_half_a_pixel_mixes_weights_but_no_labels():
    ramp = np.tile(np.arange(8, dtype=np.float32), (3, 1))
    shift = constant(0, 0.5, (3, 8))
    np.testing.assert_allclose(
        deform(ramp, shift, 'linear')[:, :7], ramp[:, :7] + 0.5)
    labels = np.tile(np.array([0, 0, 9, 9, 0, 0, 9, 9], np.uint8), (3, 1))
    assert set(np.unique(deform(labels, shift, 'nearest'))) == {0, 9}
