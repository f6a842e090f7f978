"""Tiles, whatever their size, give what one run over the image gives."""
import numpy as np
import pytest
import torch

from mmdense.modules.overlap_tile import (
    mirrored_index,
    overlap_tile,
    tile_starts,
)
from mmdense.modules.u_net import UNet, context, covering_size

DEPTH = 2


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return UNet(1, 4, DEPTH).double().eval()


def tiled(network, image, tile):
    with torch.no_grad():
        return overlap_tile(network, image, tile, context(DEPTH), 2**DEPTH)


def whole(network, image):
    """One run over the image mirrored by numpy, and its middle."""
    margin = context(DEPTH)
    pads = [(margin, covering_size(size, DEPTH) - size - margin)
            for size in image.shape[2:]]
    padded = np.pad(image.numpy(), [(0, 0), (0, 0), *pads], mode='reflect')
    with torch.no_grad():
        output = network(torch.from_numpy(padded))
    return output[..., :image.shape[2], :image.shape[3]]


@pytest.mark.parametrize('tile', [(44, 44), (60, 72), (52, 48), (200, 44),
                                  (200, 200)])
def test_tiles_of_any_size_give_one_big_forward(network, tile):
    image = torch.randn(2, 1, 61, 83, dtype=torch.float64)
    output = tiled(network, image, tile)
    expected = whole(network, image)
    assert output.shape == expected.shape == (2, 4, 61, 83)
    assert expected.std() > 0.1
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('size', [(1, 1), (2, 5), (30, 3)])
def test_an_image_smaller_than_the_context_is_mirrored_again_and_again(
        network, size):
    image = torch.randn(1, 1, *size, dtype=torch.float64)
    torch.testing.assert_close(
        tiled(network, image, (44, 44)), whole(network, image))


def test_seams_stay_below_a_hundred_thousandth_in_single_precision(network):
    image = torch.randn(1, 1, 70, 90)
    single = UNet(1, 4, DEPTH).eval()
    single.load_state_dict(network.state_dict())
    expected = whole(network, image.double()).float()
    for tile in ((44, 44), (60, 52)):
        output = tiled(single, image, tile)
        error = (output - expected).abs().max() / expected.abs().max()
        assert error < 1e-5


@pytest.mark.parametrize('size', [1, 2, 3, 7])
def test_the_mirror_is_numpys(size):
    line = np.arange(size)
    expected = np.pad(line, (9, 11), mode='reflect')
    assert mirrored_index(-9, size + 11, size).tolist() == expected.tolist()


@pytest.mark.parametrize('size, output, alignment', [
    (512, 388, 16), (1024, 388, 16), (384, 388, 16), (5, 4, 4), (17, 4, 4),
    (772, 388, 16), (773, 388, 16)])
def test_tiles_are_aligned_cover_the_line_and_none_is_spare(
        size, output, alignment):
    starts = tile_starts(size, output, alignment)
    assert all(start % alignment == 0 for start in starts)
    seen = np.zeros(starts[-1] + output, int)
    for start in starts:
        seen[start:start + output] += 1
    assert (seen[:size] > 0).all()
    assert len(starts) == 1 or starts[-2] + output < size


def test_a_tile_below_the_stride_is_refused(network):
    with pytest.raises(ValueError, match='tile must .* sides of at least 44'):
        tiled(network, torch.zeros(1, 1, 9, 9).double(), (40, 44))


def test_a_network_with_another_context_is_refused(network):
    with pytest.raises(ValueError, match=r'must give \[4, 4\].*\[8, 8\]'):
        overlap_tile(network, torch.zeros(1, 1, 9, 9).double(), (48, 48), 22,
                     4)
