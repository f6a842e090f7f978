"""``adaptive_dilated_conv2d`` against answers that share no code with it.

Three oracles: loops written from equations 6 and 7 of the paper, the
deformable convolutions of mmcv and torchvision with offsets built from the
rates, and the plain convolution it must equal at whole rates.
"""
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdense.ops import adaptive_dilated_conv2d

# (rtol, atol) against an oracle computed in float64.
TOLERANCES = {torch.float64: (1e-9, 1e-9), torch.float32: (1e-3, 1e-4)}
# Shrunk to a point, fractional, plain, larger, beyond the map, mirrored.
RATES = (0.3, 1.0, 2.5, 0.0, 40.25, -0.75)


@dataclass(frozen=True)
class Case:
    """One convolution; ``rates`` is the g of the rate (N, g)."""
    size: tuple = (6, 5)
    channels: int = 4
    out: int = 3
    rates: int = 4
    kernel: tuple = (3, 3)
    stride: tuple = (1, 1)
    padding: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    bias: bool = True
    samples: int = 2

    @property
    def out_size(self):
        return tuple(
            (s + 2 * p - d * (k - 1) - 1) // t + 1
            for s, p, d, k, t in zip(self.size, self.padding, self.dilation,
                                     self.kernel, self.stride, strict=True))

    @property
    def arguments(self):
        return dict(
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups)


# Small enough for loops. Names say what each one exposes.
CASES = {
    'plain': Case(),
    'no_bias': Case(bias=False),
    'wide': Case(size=(3, 9), channels=3, rates=1),
    'one_pixel': Case(size=(1, 1), channels=5, rates=5),
    'single_row': Case(size=(1, 8), channels=3, rates=3),
    'single_column': Case(size=(7, 1), channels=3, rates=3),
    'stride_2_on_odd': Case(size=(7, 5), stride=(2, 2)),
    'stride_2_on_even': Case(size=(6, 8), stride=(2, 2)),
    'no_padding': Case(size=(5, 6), padding=(0, 0)),
    'dilation_2': Case(size=(6, 7), padding=(2, 2), dilation=(2, 2)),
    'dilation_4': Case(size=(9, 6), padding=(4, 4), dilation=(4, 4)),
    'axes_differ': Case(
        size=(8, 7), stride=(2, 1), padding=(1, 3), dilation=(1, 2)),
    'axes_differ_otherwise': Case(
        size=(7, 8), stride=(1, 3), padding=(2, 0), dilation=(3, 1)),
    'kernel_5_by_1': Case(size=(7, 4), kernel=(5, 1), padding=(2, 0)),
    'kernel_1_by_3': Case(kernel=(1, 3), padding=(0, 1)),
    'kernel_1': Case(kernel=(1, 1), padding=(0, 0)),
    'groups_4': Case(channels=8, out=4, rates=8, groups=4),
    'depthwise': Case(channels=5, out=10, rates=5, groups=5),
    'rates_shared_in_pairs': Case(channels=6, rates=3, groups=2, out=2),
    'rates_across_groups': Case(channels=6, rates=2, groups=3, out=3),
    'seven_channels': Case(size=(3, 4), channels=7, rates=7, out=1),
}
# Too large for loops, not for the deformable convolutions.
LARGE = {
    'eighteen_channels': Case(
        size=(9, 11), channels=18, rates=6, out=7, stride=(2, 2)),
    'thirty_three_channels': Case(
        size=(8, 6), channels=33, rates=33, out=17, samples=3),
    'sixty_six_in_groups': Case(
        size=(17, 19), channels=66, rates=11, out=34, groups=2),
}


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def operands(case):
    """x, weight, bias, rate and the gradient that comes back."""
    x = draw(case.samples, case.channels, *case.size)
    weight = draw(
        case.out, case.channels // case.groups, *case.kernel, seed=1)
    bias = draw(case.out, seed=2) if case.bias else None
    # In turn, so that a case sees all of them and neighbours differ.
    turn = torch.arange(case.samples * case.rates) % len(RATES)
    rate = torch.tensor(RATES, dtype=torch.float64)[turn].reshape(
        case.samples, case.rates)
    grad = draw(case.samples, case.out, *case.out_size, seed=3)
    return x, weight, bias, rate, grad


def run(case, x, weight, bias, rate, grad, convolve=adaptive_dilated_conv2d):
    """Output and the gradients to x, weight, rate and (if any) bias."""
    inputs = [
        t.detach().requires_grad_() for t in (x, weight, rate, bias)
        if t is not None
    ]
    x, weight, rate = inputs[:3]
    out = convolve(
        x, weight, rate, inputs[3] if bias is not None else None,
        **case.arguments)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad)]


def assert_all_close(actual, expected, dtype=torch.float64):
    rtol, atol = TOLERANCES[dtype]
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e.to(a.dtype), rtol=rtol, atol=atol)


def tent(distance):
    """Weight of a pixel at this signed distance from the place read."""
    return np.maximum(0, 1 - np.abs(distance))


def tent_slope(distance):
    """Derivative of ``tent``, from the right at its three kinks."""
    rising = (distance >= -1) & (distance < 0)
    falling = (distance >= 0) & (distance < 1)
    return rising.astype(float) - falling.astype(float)


def loop_oracle(case, x, weight, bias, rate, grad):
    """Equation 7, one sampled value at a time, and its derivatives.

    Only the output channels of a group are taken together: they share the
    value sampled.
    """
    x, weight, rate, grad = (t.numpy() for t in (x, weight, rate, grad))
    out = np.zeros_like(grad)
    grad_x, grad_weight, grad_rate = map(np.zeros_like, (x, weight, rate))
    rows, columns = np.arange(case.size[0]), np.arange(case.size[1])
    in_group = case.channels // case.groups
    out_group = case.out // case.groups
    for n, c, p, q, i, j in np.ndindex(case.samples, case.channels,
                                       *case.out_size, *case.kernel):
        first = c // in_group * out_group
        o = slice(first, first + out_group)
        r = rate[n, c * case.rates // case.channels]
        # How far the tap moves as the rate grows by one.
        reach_y = case.dilation[0] * (i - (case.kernel[0] - 1) / 2)
        reach_x = case.dilation[1] * (j - (case.kernel[1] - 1) / 2)
        y = p * case.stride[0] - case.padding[0] + case.dilation[0] * (
            case.kernel[0] - 1) / 2 + reach_y * r
        z = q * case.stride[1] - case.padding[1] + case.dilation[1] * (
            case.kernel[1] - 1) / 2 + reach_x * r
        down, right = tent(y - rows), tent(z - columns)
        sampled = down @ x[n, c] @ right
        taps = weight[o, c % in_group, i, j]
        out[n, o, p, q] += taps * sampled
        g = grad[n, o, p, q]
        grad_weight[o, c % in_group, i, j] += g * sampled
        grad_x[n, c] += (taps @ g) * np.outer(down, right)
        grad_rate[n, c * case.rates // case.channels] += (taps @ g) * (
            reach_y * (tent_slope(y - rows) @ x[n, c] @ right) +
            reach_x * (down @ x[n, c] @ tent_slope(z - columns)))
    results = [out, grad_x, grad_weight, grad_rate]
    if bias is not None:
        out += bias.numpy()[:, None, None]
        results.append(grad.sum((0, 2, 3)))
    return [torch.from_numpy(a) for a in results]


def offsets_of(case, rate):
    """(N, g * kh * kw * 2, 1, 1): what a rate adds to a tap's nominal place.

    Deformable convolutions take (dy, dx) of every tap, taps in row-major
    order, rate groups outermost.
    """
    kh, kw = case.kernel
    i, j = torch.meshgrid(
        torch.arange(kh, dtype=rate.dtype) - (kh - 1) / 2,
        torch.arange(kw, dtype=rate.dtype) - (kw - 1) / 2,
        indexing='ij')
    reach = torch.stack([i * case.dilation[0], j * case.dilation[1]], -1)
    return ((rate - 1)[:, :, None] * reach.flatten()).flatten(1)[
        ..., None, None]


def deformable(library, case):
    """The same convolution by a library's deformable one."""

    def convolve(x, weight, rate, bias, stride, padding, dilation, groups):
        height, width = case.out_size
        offset = offsets_of(case, rate)
        if library.__name__ == 'torchvision.ops':
            return library.deform_conv2d(
                x, offset.expand(-1, -1, height, width), weight, bias, stride,
                padding, dilation)
        # mmcv refuses maps smaller than the kernel and drops the gradient of
        # a position of exactly -1: a frame of zeros heals both. The frame
        # adds output rows and columns at the end, which are cut off.
        frame = 2 * max(case.kernel) * max(dilation)
        x = F.pad(x, (frame, ) * 4)
        larger = replace(
            case, size=tuple(s + 2 * frame for s in case.size)).out_size
        offset = F.pad((offset + frame).expand(-1, -1, height, width),
                       (0, larger[1] - width, 0, larger[0] - height))
        out = library.deform_conv2d(x, offset, weight, stride, padding,
                                    dilation, groups, rate.shape[1])
        out = out[..., :height, :width]
        return out if bias is None else out + bias[:, None, None]

    return convolve


@pytest.mark.parametrize('dtype', list(TOLERANCES), ids=str)
@pytest.mark.parametrize('name', list(CASES))
def test_values_and_gradients_match_loops(backend, name, dtype):
    case = CASES[name]
    inputs = operands(case)
    expected = loop_oracle(case, *inputs)
    actual = run(case, *[t if t is None else t.to(dtype) for t in inputs])
    assert_all_close(actual, expected, dtype)


@pytest.mark.parametrize('name', [*CASES, *LARGE])
@pytest.mark.parametrize('package', ['mmcv.ops', 'torchvision.ops'])
def test_values_and_gradients_match_deformable_convolution(
        backend, package, name):
    library = pytest.importorskip(package)
    case = (CASES | LARGE)[name]
    inputs = operands(case)
    expected = run(case, *inputs, convolve=deformable(library, case))
    assert_all_close(run(case, *inputs), expected)


@pytest.mark.parametrize('name', [*CASES, *LARGE])
def test_rate_one_is_bit_equal_to_the_convolution_on_integers(backend, name):
    case = (CASES | LARGE)[name]
    x, weight, bias, rate, grad = (
        t if t is None else (t * 3).round().float() for t in operands(case))
    rate = torch.ones_like(rate)

    def plain(x, weight, rate, bias, **arguments):
        return F.conv2d(x, weight, bias, **arguments) + 0 * rate.sum()

    ours = run(case, x, weight, bias, rate, grad)
    theirs = run(case, x, weight, bias, rate, grad, convolve=plain)
    for k, (a, e) in enumerate(zip(ours, theirs, strict=True)):
        if k != 3:  # The convolution has no gradient to a rate.
            assert torch.equal(a, e)


@pytest.mark.parametrize('whole', [2, 3])
def test_whole_rate_is_a_dilated_convolution(backend, whole):
    case = Case(size=(9, 8), padding=(2, 2), dilation=(2, 2))
    x, weight, bias, rate, _ = operands(case)
    out = adaptive_dilated_conv2d(
        x, weight, torch.full_like(rate, whole), bias, **case.arguments)
    torch.testing.assert_close(
        out, F.conv2d(x, weight, bias, 1, 2 * whole, 2 * whole))


def test_rate_minus_one_is_the_convolution_with_the_turned_kernel(backend):
    case = Case(size=(5, 7))
    x, weight, bias, rate, _ = operands(case)
    out = adaptive_dilated_conv2d(
        x, weight, torch.full_like(rate, -1), bias, **case.arguments)
    torch.testing.assert_close(
        out, F.conv2d(x, weight.flip(2, 3), bias, padding=1))


def test_rate_zero_reads_the_centre_with_the_summed_kernel(backend):
    case = Case(size=(5, 7), stride=(2, 2))
    x, weight, bias, rate, _ = operands(case)
    out = adaptive_dilated_conv2d(
        x, weight, torch.zeros_like(rate), bias, **case.arguments)
    torch.testing.assert_close(
        out, F.conv2d(x, weight.sum((2, 3), keepdim=True), bias, stride=2))


def test_ramp_explains_rows_columns_and_the_rate(backend):
    # Pixel (i, j) is 10 i + j + 1.
    ramp = torch.tensor([[1., 2, 3, 4, 5], [11, 12, 13, 14, 15],
                         [21, 22, 23, 24, 25]])[None, None]
    right = torch.zeros(1, 1, 3, 3)
    right[0, 0, 1, 2] = 1
    rate = torch.tensor([[1.5]])
    # The tap right of the centre reads 1.5 columns to the right; half of
    # what it reads in the last but one column lies outside.
    answer = torch.tensor([[2.5, 3.5, 4.5, 2.5, 0], [12.5, 13.5, 14.5, 7.5, 0],
                           [22.5, 23.5, 24.5, 12.5, 0]])[None, None]
    torch.testing.assert_close(
        adaptive_dilated_conv2d(ramp, right, rate, padding=1), answer)
    # The tap below the centre: 1.5 rows down.
    answer = torch.tensor([[16., 17, 18, 19, 20],
                           [10.5, 11, 11.5, 12, 12.5],
                           [0, 0, 0, 0, 0]])[None, None]
    torch.testing.assert_close(
        adaptive_dilated_conv2d(ramp, right.mT, rate, padding=1), answer)


def test_channel_takes_the_rate_of_its_group(backend):
    # floor(c * g / C): channels 0, 1, 2 take the first rate, 3, 4, 5 the
    # second. The kernel reads one column right of the centre.
    x = torch.arange(5.).expand(1, 6, 1, 5)
    weight = torch.zeros(6, 1, 1, 3)
    weight[..., 2] = 1
    out = adaptive_dilated_conv2d(
        x, weight, torch.tensor([[1., 2.]]), padding=(0, 1), groups=6)
    near, far = [1., 2, 3, 4, 0], [2., 3, 4, 0, 0]
    assert out[0, :, 0].tolist() == [near] * 3 + [far] * 3


def test_adjoint_identity(backend):
    case = CASES['axes_differ']
    x, weight, _, rate, grad = operands(case)
    out, grad_x, grad_weight, *_ = run(case, x, weight, None, rate, grad)
    forth = (out * grad).sum()
    # Linear in the map and in the kernel: both adjoints return the same.
    for back in ((grad_x * x).sum(), (grad_weight * weight).sum()):
        torch.testing.assert_close(forth, back, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('name', ['plain', 'axes_differ', 'groups_4'])
def test_gradcheck_a_quarter_off_the_integers(backend, name):
    case = replace(CASES[name], samples=1, bias=True)
    x, weight, bias, rate, _ = operands(case)
    rate = torch.tensor([1.25, 0.75, -1.25, 2.25] * 2)[:case.rates][None]
    inputs = [t.double().requires_grad_() for t in (x, weight, rate, bias)]
    assert torch.autograd.gradcheck(
        lambda *t: adaptive_dilated_conv2d(*t, **case.arguments), inputs,
        fast_mode=True)


def test_rate_derivative_at_integers_is_from_the_right_of_each_position(
        backend):
    # One row, a tap left and a tap right of the centre, rate 1. A growing
    # rate moves the left tap left; its derivative is still that of the
    # position from the right, times the tap's reach of -1.
    x = torch.tensor([[[[1., 5, 2, 8]]]])
    rate = torch.ones(1, 1, requires_grad=True)
    slope = torch.tensor([4., -3, 6, -8])  # x[j + 1] - x[j], 0 outside
    for tap, reach, places in ((0, -1, [-1, 0, 1, 2]), (2, 1, [1, 2, 3, 4])):
        weight = torch.zeros(1, 1, 1, 3)
        weight[..., tap] = 1
        expected = torch.tensor([
            reach * (1. if j == -1 else 0. if j == 4 else float(slope[j]))
            for j in places
        ])
        out = adaptive_dilated_conv2d(x, weight, rate, padding=(0, 1))
        actual = torch.stack([
            torch.autograd.grad(out[0, 0, 0, q], rate, retain_graph=True)[0]
            for q in range(4)
        ]).flatten()
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_bad_rate_spoils_its_sample_and_no_other(backend, bad):
    case = Case(samples=3)
    x, weight, bias, rate, grad = operands(case)
    clean = run(case, x, weight, bias, rate, grad)
    rate[1, 2] = bad
    spoiled = run(case, x, weight, bias, rate, grad)
    assert spoiled[0][1].isnan().all()
    for k in (0, 1, 3):  # Values, gradients to x and rate: per sample.
        for n in (0, 2):
            torch.testing.assert_close(
                spoiled[k][n], clean[k][n], rtol=0, atol=0)


def test_bad_rate_spoils_only_the_groups_that_read_the_channel(backend):
    case = CASES['groups_4']
    x, weight, bias, rate, _ = operands(case)
    clean = adaptive_dilated_conv2d(x, weight, rate, bias, **case.arguments)
    rate[0, 5] = float('nan')
    out = adaptive_dilated_conv2d(x, weight, rate, bias, **case.arguments)
    assert out[0, 2].isnan().all()
    out[0, 2] = clean[0, 2]
    torch.testing.assert_close(out, clean, rtol=0, atol=0)


@pytest.mark.parametrize('far', [1e9, -1e9])
def test_far_rate_leaves_the_centre_tap_alone(backend, far):
    case = Case(size=(5, 7))
    x, weight, bias, rate, grad = (t.float() for t in operands(case))
    out, grad_x, grad_weight, grad_rate, _ = run(
        case, x, weight, bias, torch.full_like(rate, far), grad)
    torch.testing.assert_close(
        out, F.conv2d(x, weight[..., 1:2, 1:2], bias))
    assert grad_x.isfinite().all()
    assert torch.equal(grad_rate, torch.zeros_like(rate))
    grad_weight[..., 1, 1] = 0
    assert torch.equal(grad_weight, torch.zeros_like(weight))


@pytest.mark.parametrize('groups', [1, 4])
def test_empty_batch_gives_empty_map_and_zero_gradients(backend, groups):
    case = Case(samples=0, channels=4, out=8, groups=groups)
    out, grad_x, grad_weight, grad_rate, grad_bias = run(case, *operands(case))
    assert out.shape == (0, 8, 6, 5)
    assert grad_x.shape == (0, 4, 6, 5) and grad_rate.shape == (0, 4)
    assert torch.equal(grad_weight, torch.zeros(8, 4 // groups, 3, 3).double())
    assert torch.equal(grad_bias, torch.zeros(8).double())


LAYOUTS = {
    'channels_last': lambda x: x.contiguous(
        memory_format=torch.channels_last),
    'every_other_column': lambda x: torch.stack([x, -x], -1).flatten(-2)
    [..., ::2],
    'transposed': lambda x: x.mT.contiguous().mT,
    'inside_a_wider_map': lambda x: F.pad(x, (2, 1, 1, 3))
    [..., 1:-3, 2:-1],
}


@pytest.mark.parametrize('layout', list(LAYOUTS))
@pytest.mark.parametrize('name', ['plain', 'stride_2_on_odd', 'groups_4'])
def test_layout_in_memory_changes_nothing(backend, layout, name):
    case, arrange = CASES[name], LAYOUTS[layout]
    x, weight, bias, rate, grad = operands(case)
    expected = run(case, x, weight, bias, rate, grad)
    x, weight, grad = arrange(x), arrange(weight), arrange(grad)
    assert not (x.is_contiguous() or grad.is_contiguous())
    rate = rate.T.contiguous().T
    assert_all_close(run(case, x, weight, bias, rate, grad), expected)


def test_expanded_rate_and_gradient_are_read_through_their_strides(backend):
    case = Case()
    x, weight, bias, rate, grad = operands(case)
    rate, grad = rate[:, :1].expand_as(rate), grad[:, :, :1, :1].expand_as(
        grad)
    expected = run(case, x, weight, bias, rate.clone(), grad.clone())
    assert_all_close(run(case, x, weight, bias, rate, grad), expected)


def test_two_runs_are_bit_equal(backend):
    case = LARGE['sixty_six_in_groups']
    inputs = [t.float() for t in operands(case)]
    for first, second in zip(
            run(case, *inputs), run(case, *inputs), strict=True):
        assert torch.equal(first, second)
