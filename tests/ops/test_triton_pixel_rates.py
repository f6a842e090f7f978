"""The Triton kernels with a rate for every output position.

As in ``test_triton_kernels.py``, functions ``check_*`` are the tests under
the interpreter, which run in a process of their own, and run as a script the
file compiles the launches.
"""
import sys
from pathlib import Path

import pytest
import torch

# pytest does not put a test's own folder there.
sys.path.append(str(Path(__file__).parent))

from test_triton_kernels import (  # noqa: E402
    CASES,
    DEVICE,
    SPEC,
    Compiled,
    choice,
    needs_later_triton,
    needs_triton,
    on_the_device,  # noqa: F401
    plain,
    random,
    run,
)

from mmdense.ops.adaptive_dilated_conv2d import reference  # noqa: E402
from mmdense.ops.adaptive_dilated_conv2d.places import (  # noqa: E402
    output_size,
)

# Shrunk to a point, fractional, whole, mirrored, beyond the map.
RATES = 0.0, 0.3, 1.0, 2.5, -0.75, -1.0, 20.0


@needs_triton
@needs_later_triton
def test_kernels_equal_the_reference_under_the_interpreter():
    result = run([
        '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', 'no:xdist',
        '-o', 'python_functions=check_*', __file__
    ], TRITON_INTERPRET='1')
    assert result.returncode == 0, result.stdout


@needs_triton
@needs_later_triton
@pytest.mark.slow
def test_every_launch_compiles_for_a_gpu(tmp_path):
    ptxas = Path(SPEC.origin).parent / 'backends/nvidia/bin/ptxas'
    if not ptxas.exists():
        pytest.skip('this triton has no compiler for NVIDIA GPUs')
    for dtype in ('bfloat16', 'float32'):
        result = run([__file__, dtype], TRITON_CACHE_DIR=str(tmp_path))
        assert result.returncode == 0, result.stdout
        # Three kernels of three kinds of convolution.
        assert result.stdout.count('compiled') == 9, result.stdout


def operands(case, dtype=torch.float32, rates=RATES):
    """x, weight, rate, bias and the four sizes."""
    shape, kernel, rate_groups, *sizes = CASES[case]
    generator = torch.Generator().manual_seed(sum(map(ord, case)))
    x = random(generator, *shape, dtype=dtype)
    weight = random(generator, *kernel) / (kernel[1] * kernel[2])
    bias = random(generator, kernel[0], dtype=dtype)
    size = output_size(shape[2:], kernel[2:], *sizes[:3])
    rate = choice(generator, rates, shape[0], rate_groups, *size)
    return x, weight.to(dtype), rate, bias, sizes


def hold(case, dtype, tolerance):
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = operands(case, dtype)
    leaves = [t.clone().requires_grad_() for t in (x, weight, rate)]
    expected = reference.adaptive_dilated_conv2d(*leaves, bias, *sizes)
    grad = torch.linspace(-1, 2, expected.numel(), device=DEVICE).to(dtype)
    grad = grad.view(expected.shape)
    wanted = torch.autograd.grad(expected, leaves, grad)
    out = triton.forward(x, weight, rate, bias, *sizes)
    torch.testing.assert_close(out, expected, **tolerance(dtype))
    found = triton.backward(grad, x, weight, rate, *sizes, (True, ) * 3)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        # The sums grow with what is summed.
        scale = max(1, b.abs().max().item())
        torch.testing.assert_close(
            a.float() / scale, b.float() / scale, **tolerance(dtype))


@pytest.mark.parametrize('case', [
    'plain', 'strided', 'few_a_group', 'one_row', 'pointwise'])
def check_values_and_gradients_equal_the_reference(case, tolerance):
    hold(case, torch.float32, tolerance)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def check_half_precision(dtype, tolerance):
    hold('one_row', dtype, tolerance)


def check_many_tiles_and_blocks(monkeypatch, tolerance):
    small = dict(BLOCK_OUT=16, BLOCK_IN=16, BLOCK_P=16)
    from mmdense.ops.adaptive_dilated_conv2d.triton import (
        forward_kernel,
        pixelwise_kernel,
        weight_kernel,
    )
    for module, name in ((forward_kernel, 'forward_blocks'),
                         (pixelwise_kernel, 'products_blocks'),
                         (weight_kernel, 'weight_blocks')):
        monkeypatch.setattr(module, name, lambda *_: small)
    monkeypatch.setitem(
        CASES, 'large',
        ((2, 20, 5, 7), (36, 10, 1, 3), 4, (1, 1), (0, 1), (1, 1), 2))
    hold('large', torch.float32, tolerance)


@pytest.mark.parametrize('case, bad', [
    ('plain', float('nan')), ('strided', float('-inf')),
    ('pointwise', float('inf'))])
def check_a_bad_rate_spoils_the_outputs_that_read_it(case, bad):
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = operands(case)

    def run():
        out = triton.forward(x, weight, rate, bias, *sizes)
        return out, *triton.backward(
            torch.ones_like(out), x, weight, rate, *sizes, (True, ) * 3)

    good = run()
    rate[0, -1, 1, 2] = bad
    out, grad_x, _, grad_rate = run()
    # The last rate is the last channel's, of the last convolution group.
    first = out.shape[1] - out.shape[1] // sizes[-1]
    assert out[0, first:, 1, 2].isnan().all()
    out[0, first:, 1, 2] = good[0][0, first:, 1, 2]
    assert torch.equal(out, good[0])
    torch.testing.assert_close(grad_x[1:], good[1][1:])
    assert grad_rate[0, -1, 1, 2].isnan()
    grad_rate[0, -1, 1, 2] = good[3][0, -1, 1, 2]
    assert torch.equal(grad_rate, good[3])


def check_far_rates_leave_the_middle_tap():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = operands('plain', rates=(1e9, -1e30))
    out = triton.forward(x, weight, rate, bias, *sizes)
    torch.testing.assert_close(out, plain(x, weight[:, :, 1:2, 1:2], bias))
    grads = triton.backward(
        torch.ones_like(out), x, weight, rate, *sizes, (True, ) * 3)
    assert torch.equal(grads[2], torch.zeros_like(rate))


@pytest.mark.parametrize('case', ['plain', 'strided'])
def check_rate_one_is_the_convolution_bit_for_bit(case):
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = operands(case, rates=(1.0, ))
    x, weight, bias = (
        (value * 8).round() for value in (x, weight * 4, bias))
    out = triton.forward(x, weight, rate, bias, *sizes)
    assert torch.equal(out, plain(x, weight, bias, sizes=sizes))


def check_each_gradient_can_be_asked_for_alone():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, _, sizes = operands('one_row')
    grad = triton.forward(x, weight, rate, None, *sizes)
    together = triton.backward(grad, x, weight, rate, *sizes, (True, ) * 3)
    for index in range(3):
        mask = [index == other for other in range(3)]
        alone = triton.backward(grad, x, weight, rate, *sizes, mask)
        assert [value is not None for value in alone] == mask
        torch.testing.assert_close(alone[index], together[index])


def check_an_empty_batch_has_empty_results():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = operands('plain')
    out = triton.forward(x[:0], weight, rate[:0], bias, *sizes)
    grads = triton.backward(out, x[:0], weight, rate[:0], *sizes, (True, ) * 3)
    assert [t.shape for t in grads] == [x[:0].shape, weight.shape,
                                        rate[:0].shape]


def check_any_layout():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, _, sizes = operands('plain')
    out = triton.forward(x, weight, rate, None, *sizes)
    last = torch.channels_last
    other = triton.forward(
        x.to(memory_format=last), weight, rate.to(memory_format=last), None,
        *sizes)
    assert torch.equal(out, other)


def check_the_gradient_that_needs_atomics_says_so():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, _, sizes = operands('plain')
    out = triton.forward(x, weight, rate, None, *sizes)
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RuntimeError, match='gradient of x must not be'):
            triton.backward(out, x, weight, rate, *sizes, (True, ) * 3)
        triton.backward(out, x, weight, rate, *sizes, (False, True, True))
    finally:
        torch.use_deterministic_algorithms(False)


def check_the_public_function_reaches_the_kernels(tolerance):
    from mmdense.ops import adaptive_dilated_conv2d, use_backend
    x, weight, rate, bias, sizes = operands('strided')
    results = []
    for name in ('triton', 'reference'):
        leaves = [t.clone().requires_grad_() for t in (x, weight, rate, bias)]
        with use_backend(name):
            out = adaptive_dilated_conv2d(*leaves, *sizes)
        results.append((out, *torch.autograd.grad(out.sum(), leaves)))
    torch.testing.assert_close(*results, **tolerance(torch.float32))


def compile_every_launch(dtype: torch.dtype) -> None:
    """Call the launchers, compiling each launch in place of running it."""
    from mmdense.ops.adaptive_dilated_conv2d import triton as conv
    from mmdense.ops.adaptive_dilated_conv2d.triton import (
        forward_kernel,
        pixelwise_kernel,
        weight_kernel,
    )
    for module in (forward_kernel, pixelwise_kernel, weight_kernel):
        for name in dir(module):
            if name.endswith('_kernel'):
                setattr(module, name, Compiled(getattr(module, name)))
    # ResNet sizes; grouped with a stride; depthwise, 1 x 1 map, 5 x 5 kernel.
    for shape, kernel, rate_groups, stride, groups in (
        ((1, 256, 16, 12), (256, 256, 3, 3), 1, (1, 1), 1),
        ((2, 48, 15, 13), (96, 12, 3, 3), 48, (2, 1), 4),
        ((1, 6, 1, 1), (6, 1, 5, 5), 1, (1, 1), 6),
    ):
        x = torch.empty(shape, dtype=dtype)
        weight = torch.empty(kernel, dtype=dtype)
        sizes = stride, (kernel[2] // 2, ) * 2, (1, 1), groups
        size = output_size(shape[2:], kernel[2:], *sizes[:3])
        rate = torch.ones(shape[0], rate_groups, *size)
        out = conv.forward(x, weight, rate, weight[:, 0, 0, 0], *sizes)
        conv.backward(out, x, weight, rate, *sizes, (True, ) * 3)


if __name__ == '__main__':
    compile_every_launch(getattr(torch, sys.argv[1]))
