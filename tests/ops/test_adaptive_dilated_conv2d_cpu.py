"""The CPU kernel's own paths against the reference in float64.

Depthwise sums, pieces of long rows, bfloat16 products, channels last: each
has sizes at which its blocks end unevenly.
"""
import os
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmdense.ops import (
    adaptive_dilated_conv2d,
    available_backends,
    use_backend,
    why_unavailable,
)

if 'cpu' not in available_backends():
    pytest.skip(why_unavailable('cpu'), allow_module_level=True)

# (batch, C, C_out, height, width), kernel, stride, padding, dilation, groups.
CASES = {
    'depthwise': ((3, 9, 9, 13, 11), (3, 3), 1, 1, 1, 9),
    'depthwise, 700 wide': ((2, 8, 16, 5, 700), (3, 3), (2, 1), 3, 2, 8),
    'depthwise, stride 2': ((2, 8, 8, 12, 11), (5, 3), 2, (2, 1), 1, 8),
    'one channel in, nine out': ((2, 1, 9, 6, 7), (3, 3), 1, 1, 1, 1),
    'two channels a group': ((2, 8, 12, 7, 5), (3, 3), 1, 1, 1, 4),
    'three channels a group': ((2, 18, 36, 6, 5), (3, 3), 1, 2, 2, 6),
    'pieces of a row': ((2, 4, 3, 4, 640), (3, 3), (1, 2), 1, 1, 1),
    'pieces, stride 1': ((1, 3, 4, 3, 401), (3, 5), 1, (1, 2), 1, 1),
    'many samples a chunk': ((9, 5, 4, 3, 2), (3, 3), 1, 1, 1, 1),
    'whole blocks': ((2, 64, 64, 16, 12), (3, 3), 1, 1, 1, 1),
    'blocks end unevenly': ((2, 67, 34, 17, 9), (3, 3), 1, 1, 1, 1),
    'one tap': ((2, 33, 17, 6, 5), (1, 1), 1, 0, 1, 1),
    'one pixel': ((1, 7, 5, 1, 1), (3, 3), 1, 1, 1, 1),
}
LAST = torch.channels_last


def operands(name, dtype):
    """Tensors (x, weight, rate, bias) and the four sizes of a case."""
    (batch, channels, out, *size), kernel, *sizes = CASES[name]
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    rate = 1 + 1.2 * draw(batch, channels)
    rate[0, 0], rate[-1, -1] = 2, -40
    tensors = (draw(batch, channels, *size),
               draw(out, channels // sizes[-1], *kernel), rate, draw(out))
    return [
        t.to(dtype if k != 2 or dtype == torch.float64 else torch.float32)
        for k, t in enumerate(tensors)
    ], sizes


def run(tensors, sizes):
    tensors = [t.detach().requires_grad_() for t in tensors]
    out = adaptive_dilated_conv2d(*tensors, *sizes)
    slopes = torch.linspace(-1, 2, out.numel(), dtype=torch.float64)
    slopes = slopes.to(out.dtype).view(out.shape)
    return [out.detach(), *torch.autograd.grad(out, tensors, slopes)]


@pytest.mark.parametrize('layout', [torch.contiguous_format, LAST], ids=str)
@pytest.mark.parametrize('dtype', [
    torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', CASES)
def test_values_and_gradients_equal_the_reference(tolerance, name, dtype,
                                                  layout):
    tensors, sizes = operands(name, dtype)
    with use_backend('reference'):
        wanted = run([t.double() for t in tensors], sizes)
    tensors[0] = tensors[0].to(memory_format=layout)
    for a, b in zip(run(tensors, sizes), wanted, strict=True):
        scale = max(1.0, b.abs().max().item())
        torch.testing.assert_close(
            a.double() / scale, b / scale, **tolerance(dtype))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', ['depthwise', 'blocks end unevenly'])
def test_bits_depend_neither_on_the_run_nor_on_threads(name, dtype):
    tensors, sizes = operands(name, dtype)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 1, 3):
            torch.set_num_threads(threads)
            results.append(run(tensors, sizes))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.parametrize('name', ['depthwise', 'depthwise, stride 2'])
def test_gradcheck_of_the_depthwise_sums(name):
    (x, weight, rate, bias), sizes = operands(name, torch.float64)
    tensors = (x[:2], weight, rate[:2].floor() + 0.375, bias)
    assert torch.autograd.gradcheck(
        lambda *t: adaptive_dilated_conv2d(*t, *sizes),
        [t.requires_grad_() for t in tensors],
        fast_mode=True)


@pytest.mark.parametrize('name', ['depthwise', 'whole blocks'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_opcheck(name, dtype):
    tensors, (stride, padding, dilation, groups) = operands(name, dtype)
    tensors = [t.requires_grad_() for t in tensors]
    torch.library.opcheck(
        torch.ops.mmdense.adaptive_dilated_conv2d.default,
        (*tensors, [stride] * 2, [padding] * 2, [dilation] * 2, groups,
         'auto'))


@pytest.mark.parametrize('name', ['depthwise', 'many samples a chunk'])
def test_infinite_pixel_stays_in_its_sample(name):
    (x, weight, rate, bias), sizes = operands(name, torch.float32)
    clean = run((x, weight, rate, bias), sizes)
    x[1, 0] = torch.inf
    spoiled = run((x, weight, rate, bias), sizes)
    for k in (0, 1, 3):  # Values, gradients of the map and of the rate.
        for n in range(len(x)):
            assert n == 1 or torch.equal(spoiled[k][n], clean[k][n])


def test_call_that_is_watched_goes_through_the_registered_operator():
    tensors, sizes = operands('depthwise', torch.float32)
    seen = []

    class Watch(TorchDispatchMode):

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **kwargs or {})

    with Watch(), torch.no_grad():
        adaptive_dilated_conv2d(*tensors, *sizes)
    assert 'mmdense.adaptive_dilated_conv2d.default' in seen


@pytest.mark.slow
@pytest.mark.parametrize('variable, value', [
    ('ATEN_CPU_CAPABILITY', 'default'), ('ATEN_CPU_CAPABILITY', 'avx2'),
    ('MMDENSE_CPU_BF16', 'none'), ('MMDENSE_CPU_BF16', 'avx512')])
def test_lower_instruction_sets_give_the_same_answers(variable, value):
    done = subprocess.run([
        sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
        __file__, '-k', 'equal_the_reference or bits_depend'
    ],
                          env=os.environ | {variable: value},
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout[-2000:]
