"""``channel_shift`` against answers that share no code with it.

Three oracles: loops written from the definition, the deformable convolutions
of mmcv and torchvision with a 1x1 kernel of ones, and a ramp image whose
answers are written out by hand.
"""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdense.ops import channel_shift

# (rtol, atol) against an oracle computed in float64.
TOLERANCES = {torch.float64: (1e-10, 1e-10), torch.float32: (1e-4, 2e-5)}

# (N, C, H, W). Odd channel counts fill no block of a kernel; widths on both
# sides of 4, 8 and 16 leave every tail of a vector loop.
SHAPES = [(2, 3, 5, 7), (1, 1, 1, 1), (2, 5, 1, 9), (1, 4, 8, 1),
          (1, 7, 4, 17), (1, 18, 3, 16), (1, 33, 2, 5)]
# Far ones leave the map wholly; -0.75 and -1.25 straddle its edge.
OFFSETS = (0.0, 0.25, -0.75, 1.0, -1.25, 2.5, -3.0, 60.25)


def draw(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(
        dtype)


def draw_offsets(*shape, seed=1):
    """Offsets from the list, so that rows and columns get unequal ones."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(len(OFFSETS), shape, generator=generator)
    return torch.tensor(OFFSETS, dtype=torch.float64)[index]


def tent(distance):
    """Weight of a pixel at this signed distance from the place read."""
    return np.maximum(0, 1 - np.abs(distance))


def tent_slope(distance):
    """Derivative of ``tent``, from the right at its three kinks."""
    rising = (distance >= -1) & (distance < 0)
    falling = (distance >= 0) & (distance < 1)
    return rising.astype(float) - falling.astype(float)


def loop_oracle(x, offset, grad):
    """Shift and its gradients, one pixel at a time, every pixel weighed."""
    x, offset, grad = x.numpy(), offset.numpy(), grad.numpy()
    out, grad_x = np.zeros_like(x), np.zeros_like(x)
    grad_offset = np.zeros_like(offset)
    samples, channels, height, width = x.shape
    rows, columns = np.arange(height), np.arange(width)
    for n in range(samples):
        for c in range(channels):
            dy, dx = offset[n, c]
            for i in range(height):
                down = tent(i + dy - rows)
                down_slope = tent_slope(i + dy - rows)
                for j in range(width):
                    right = tent(j + dx - columns)
                    right_slope = tent_slope(j + dx - columns)
                    out[n, c, i, j] = down @ x[n, c] @ right
                    g = grad[n, c, i, j]
                    grad_x[n, c] += g * np.outer(down, right)
                    grad_offset[n, c] += (
                        g * (down_slope @ x[n, c] @ right),
                        g * (down @ x[n, c] @ right_slope))
    return [torch.from_numpy(a) for a in (out, grad_x, grad_offset)]


def run(x, offset, grad):
    """Output and both gradients of the operator."""
    x = x.detach().requires_grad_()
    offset = offset.detach().requires_grad_()
    out = channel_shift(x, offset)
    return [out.detach(), *torch.autograd.grad(out, (x, offset), grad)]


def assert_all_close(actual, expected, dtype):
    rtol, atol = TOLERANCES[dtype]
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(
            a, e.to(a.dtype), rtol=rtol, atol=atol)


@pytest.mark.parametrize('dtype', list(TOLERANCES), ids=str)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_values_and_gradients_match_loops(backend, shape, dtype):
    x, grad = draw(*shape), draw(*shape, seed=2)
    offset = draw_offsets(*shape[:2], 2)
    expected = loop_oracle(x, offset, grad)
    actual = run(x.to(dtype), offset.to(dtype), grad.to(dtype))
    assert_all_close(actual, expected, dtype)


def test_every_pair_of_offsets_matches_loops(backend):
    pairs = torch.cartesian_prod(
        *[torch.tensor(OFFSETS, dtype=torch.float64)] * 2)
    x, grad = draw(1, len(pairs), 3, 5), draw(1, len(pairs), 3, 5, seed=2)
    offset = pairs[None]
    assert_all_close(
        run(x, offset, grad), loop_oracle(x, offset, grad), torch.float64)


def test_offset_shared_over_the_batch_is_the_repeated_one(backend):
    x, grad = draw(3, 5, 4, 6), draw(3, 5, 4, 6, seed=2)
    shared = draw_offsets(5, 2)
    expected = loop_oracle(x, shared.repeat(3, 1, 1), grad)
    expected[2] = expected[2].sum(0)
    assert_all_close(run(x, shared, grad), expected, torch.float64)


@pytest.mark.parametrize('package', ['mmcv.ops', 'torchvision.ops'])
def test_values_and_gradients_match_deformable_convolution(backend, package):
    library = pytest.importorskip(package)
    samples, channels, height, width = shape = (2, 5, 6, 4)
    # One pixel of zeros around the map changes nothing here, and moves the
    # place where mmcv drops the gradient (a position of exactly -1) to where
    # both of its neighbours are zero.
    x, grad = draw(*shape).requires_grad_(), draw(*shape, seed=2)
    offset = draw_offsets(samples, channels, 2).requires_grad_()
    field = F.pad(
        (offset + 1).reshape(samples, channels * 2, 1, 1).expand(
            -1, -1, height, width), (0, 2, 0, 2))
    ones = torch.ones(channels, 1, 1, 1, dtype=x.dtype)
    padded = F.pad(x, (1, 1, 1, 1))
    if package == 'mmcv.ops':
        out = library.deform_conv2d(padded, field, ones, 1, 0, 1, channels,
                                    channels)
    else:
        out = library.deform_conv2d(padded, field, ones)
    out = out[..., :height, :width]
    expected = [out.detach(), *torch.autograd.grad(out, (x, offset), grad)]
    assert_all_close(run(x, offset, grad), expected, torch.float64)


# A ramp whose pixel at row i, column j is 10 i + j + 1.
RAMP = [[1, 2, 3, 4],
        [11, 12, 13, 14],
        [21, 22, 23, 24]]
# Offset (dy, dx) and what is read there. Positive looks down and right, so
# the picture moves up and left; the row always comes first.
ANSWERS = {
    (0, 0): RAMP,
    (1, 0): [[11, 12, 13, 14],
             [21, 22, 23, 24],
             [0, 0, 0, 0]],
    (0, 1): [[2, 3, 4, 0],
             [12, 13, 14, 0],
             [22, 23, 24, 0]],
    (-1, 2): [[0, 0, 0, 0],
              [3, 4, 0, 0],
              [13, 14, 0, 0]],
    (0.5, 0): [[6, 7, 8, 9],
               [16, 17, 18, 19],
               [10.5, 11, 11.5, 12]],
    (0, -0.25): [[.75, 1.75, 2.75, 3.75],
                 [8.25, 11.75, 12.75, 13.75],
                 [15.75, 21.75, 22.75, 23.75]],
    (0.5, 0.5): [[6.5, 7.5, 8.5, 4.5],
                 [16.5, 17.5, 18.5, 9.5],
                 [10.75, 11.25, 11.75, 6]],
    (3, 0): [[0] * 4] * 3,
    (0, -4): [[0] * 4] * 3,
}


@pytest.mark.parametrize('offset', list(ANSWERS), ids=str)
def test_ramp_explains_order_and_sign_of_the_offset(backend, offset):
    ramp = torch.tensor(RAMP, dtype=torch.float32)[None, None]
    answer = torch.tensor(ANSWERS[offset], dtype=torch.float32)[None, None]
    out = channel_shift(ramp, torch.tensor([offset], dtype=torch.float32))
    torch.testing.assert_close(out, answer, rtol=0, atol=1e-6)


@pytest.mark.parametrize('dy, dx', [(0, 0), (1, -2), (-3, 0), (4, 6), (-5, 1)])
def test_integer_offset_is_exactly_a_zero_filled_roll(backend, dy, dx):
    height, width = 5, 7
    x = draw(2, 3, height, width, dtype=torch.float32)
    rolled = torch.roll(x, (-dy, -dx), (2, 3))
    rolled[:, :, [i for i in range(height) if not 0 <= i + dy < height]] = 0
    rolled[..., [j for j in range(width) if not 0 <= j + dx < width]] = 0
    offset = torch.tensor([dy, dx], dtype=torch.float32).expand(3, 2)
    assert torch.equal(channel_shift(x, offset), rolled)


def test_adjoint_is_the_opposite_shift(backend):
    x, y = draw(2, 6, 5, 8), draw(2, 6, 5, 8, seed=3)
    offset = draw_offsets(2, 6, 2)
    forth = (channel_shift(x, offset) * y).sum()
    back = (x * channel_shift(y, -offset)).sum()
    torch.testing.assert_close(forth, back, rtol=1e-12, atol=1e-12)


def test_gradient_to_x_is_the_opposite_shift(backend):
    x, grad = draw(2, 6, 5, 8), draw(2, 6, 5, 8, seed=3)
    offset = draw_offsets(2, 6, 2)
    torch.testing.assert_close(
        run(x, offset, grad)[1], channel_shift(grad, -offset))


def test_gradcheck_a_quarter_off_the_integers(backend):
    x = draw(2, 3, 4, 5).requires_grad_()
    whole = torch.tensor([[0, -1], [2, 0], [-1, 1]], dtype=torch.float64)
    offset = (whole + 0.25).requires_grad_()
    assert torch.autograd.gradcheck(channel_shift, (x, offset))
    each = (torch.stack([whole, -whole]) - 0.25).requires_grad_()
    assert torch.autograd.gradcheck(channel_shift, (x, each))


@pytest.mark.parametrize('at', [-3.0, -1.0, 0.0, 1.0, 2.0, 3.0])
def test_derivative_at_an_integer_is_the_one_from_the_right(backend, at):
    x, grad = draw(1, 1, 4, 4), draw(1, 1, 4, 4, seed=2)
    on = torch.full((1, 2), at, dtype=torch.float64)
    step = 2.0**-20

    def slope(axis, sign):
        moved = on.clone()
        moved[0, axis] += sign * step
        change = channel_shift(x, moved) - channel_shift(x, on)
        return (change * grad).sum() / (sign * step)

    right = torch.stack([slope(0, 1), slope(1, 1)])[None]
    left = torch.stack([slope(0, -1), slope(1, -1)])[None]
    assert not torch.allclose(right, left)
    torch.testing.assert_close(
        run(x, on, grad)[2], right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('axis', [0, 1])
def test_bad_offset_spoils_its_channel_and_no_other(backend, bad, axis):
    x, grad = draw(3, 4, 5, 6), draw(3, 4, 5, 6, seed=2)
    offset = draw_offsets(3, 4, 2)
    clean = run(x, offset, grad)
    # The other axis reads from the map everywhere.
    offset[1, 2] = 0.25
    offset[1, 2, axis] = bad
    spoiled = run(x, offset, grad)
    assert spoiled[0][1, 2].isnan().all()
    for s, c in zip(spoiled, clean, strict=True):
        s[1, 2], c[1, 2] = 0, 0
        torch.testing.assert_close(s, c, rtol=0, atol=0)


@pytest.mark.parametrize('far', [1e9, -1e9, 3e38])
@pytest.mark.parametrize('axis', [0, 1])
def test_far_offset_reads_zeros(backend, far, axis):
    x, grad = draw(2, 3, 4, 5, dtype=torch.float32), torch.ones(2, 3, 4, 5)
    offset = torch.zeros(3, 2)
    offset[:, axis] = far
    for result in run(x, offset, grad):
        assert torch.equal(result, torch.zeros_like(result))


@pytest.mark.parametrize('shape', [(0, 3, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_empty_map_gives_empty_map_and_zero_gradients(backend, shape):
    x, shared, each = draw(*shape), draw_offsets(3, 2), draw_offsets(
        shape[0], 3, 2)
    for offset in (shared, each):
        out, grad_x, grad_offset = run(x, offset, draw(*shape))
        assert out.shape == grad_x.shape == shape
        assert torch.equal(grad_offset, torch.zeros_like(offset))


LAYOUTS = {
    'channels_last': lambda x: x.contiguous(
        memory_format=torch.channels_last),
    'every_other_column': lambda x: torch.stack([x, -x], -1).flatten(-2)
    [..., ::2],
    'transposed': lambda x: x.mT.contiguous().mT,
    'inside_a_wider_map': lambda x: F.pad(x, (2, 1, 1, 3))
    [..., 1:-3, 2:-1],
    'expanded_batch': lambda x: x[:1].expand(x.shape[0], -1, -1, -1),
}


@pytest.mark.parametrize('layout', list(LAYOUTS))
def test_layout_in_memory_changes_nothing(backend, layout):
    arrange = LAYOUTS[layout]
    x, grad = arrange(draw(2, 5, 4, 6)), arrange(draw(2, 5, 4, 6, seed=2))
    assert not x.is_contiguous()
    # Stored as (2, C, N): read through strides too.
    offset = draw_offsets(2, 5, 2).permute(2, 1, 0).contiguous().permute(
        2, 1, 0)
    expected = run(x.contiguous(), offset.contiguous(), grad.contiguous())
    assert_all_close(run(x, offset, grad), expected, torch.float64)


def test_two_runs_are_bit_equal(backend):
    x, grad = draw(4, 33, 9, 17, dtype=torch.float32), draw(
        4, 33, 9, 17, seed=2, dtype=torch.float32)
    offset = draw_offsets(33, 2).float()
    for first, second in zip(
            run(x, offset, grad), run(x, offset, grad), strict=True):
        assert torch.equal(first, second)
