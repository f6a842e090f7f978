"""The Triton kernels: equal to the reference, and they compile for a GPU.

Triton decides when it is imported whether kernels are interpreted, so both
kinds of check run in a process of their own:

- functions ``check_*`` are the tests under the interpreter; to see them one
  by one, ``TRITON_INTERPRET=1 pytest -o python_functions='check_*'`` on this
  file; without the variable they run on the GPU, as ``tools/check_gpu.py``
  has them do;
- run as a script, the file compiles every launch for an H100-class GPU.
"""
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import mmdense

ROOT = Path(mmdense.__file__).parents[1]
SPEC = importlib.util.find_spec('triton')
needs_triton = pytest.mark.skipif(
    SPEC is None, reason='triton is not installed')
# Its interpreter returns zeros even of a single multiplication, and its
# compiler takes attributes of another form than is given it here.
needs_later_triton = pytest.mark.skipif(
    torch.__version__ < (2, 5), reason='needs a later triton than 3.0')
# Where functions `check_*` compute.
DEVICE = 'cpu' if os.environ.get('TRITON_INTERPRET') == '1' else 'cuda'
HALVES = torch.float16, torch.bfloat16
OFFSETS = 0.0, 0.3, 1.0, 2.5, -1.75, -1.0, 20.0, 1e9
RATES = 0.0, 0.3, 1.0, 2.5, -0.75, 20.0
# x, weight, rate groups, stride, padding, dilation, groups
CASES = dict(
    plain=((2, 5, 4, 7), (6, 5, 3, 3), 5, (1, 1), (1, 1), (1, 1), 1),
    strided=((2, 6, 5, 6), (5, 6, 3, 3), 2, (2, 1), (1, 2), (1, 2), 1),
    dilated=((1, 5, 6, 5), (4, 5, 3, 3), 1, (1, 2), (4, 2), (4, 2), 1),
    groups=((1, 20, 4, 5), (16, 5, 3, 3), 20, (1, 1), (1, 1), (1, 1), 4),
    few_a_group=((2, 8, 4, 5), (12, 2, 3, 3), 4, (2, 2), (1, 1), (1, 1), 4),
    depthwise=((2, 10, 4, 5), (10, 1, 3, 3), 10, (1, 1), (1, 1), (1, 1), 10),
    one_pixel=((2, 6, 1, 1), (4, 6, 3, 3), 6, (1, 1), (1, 1), (1, 1), 1),
    one_row=((1, 6, 1, 9), (4, 6, 1, 5), 3, (1, 1), (0, 2), (1, 1), 1),
    one_column=((1, 6, 9, 1), (4, 6, 3, 1), 3, (1, 1), (1, 0), (1, 1), 1),
    pointwise=((1, 6, 3, 4), (4, 6, 1, 1), 6, (1, 1), (0, 0), (1, 1), 1),
)


def run(arguments, **variables) -> subprocess.CompletedProcess:
    """Run Python on this file, without a say of the caller's settings."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ('TRITON_INTERPRET', 'PYTEST_ADDOPTS')
    }
    path = [str(ROOT), environment.get('PYTHONPATH', '')]
    environment.update(
        variables, PYTHONPATH=os.pathsep.join(filter(None, path)))
    return subprocess.run([sys.executable, *arguments],
                          cwd=ROOT,
                          env=environment,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          text=True)


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
@pytest.mark.parametrize('dtype', [
    'bfloat16',
    pytest.param('float16', marks=pytest.mark.slow),
    pytest.param('float32', marks=pytest.mark.slow),
])
def test_every_launch_compiles_for_a_gpu(dtype, tmp_path):
    ptxas = Path(SPEC.origin).parent / 'backends/nvidia/bin/ptxas'
    if not ptxas.exists():
        pytest.skip('this triton has no compiler for NVIDIA GPUs')
    result = run([__file__, dtype], TRITON_CACHE_DIR=str(tmp_path))
    assert result.returncode == 0, result.stdout
    # Two kernels of the shift, four of each kind of convolution.
    assert result.stdout.count('compiled') == 2 + 4 * 3, result.stdout


@pytest.fixture(autouse=True)
def on_the_device(request):
    """Make tensors where the checks compute, with exact products there."""
    if not request.function.__name__.startswith('check_'):
        yield
        return
    with torch.device(DEVICE), torch.backends.cudnn.flags(
            enabled=True, allow_tf32=False):
        yield


# Drawn on the CPU: the same numbers everywhere.
def random(generator, *shape, dtype=torch.float32):
    drawn = torch.randn(shape, generator=generator, device='cpu')
    return drawn.to(DEVICE, dtype)


def choice(generator, values, *shape):
    index = torch.randint(
        len(values), shape, generator=generator, device='cpu')
    return torch.tensor(values, device='cpu')[index].to(DEVICE)


def plain(*tensors, sizes=()):
    """The plain convolution on a CPU: cuDNN may multiply in another way."""
    return F.conv2d(*(value.cpu() for value in tensors), *sizes).to(DEVICE)


def conv_inputs(case, dtype=torch.float32, rates=RATES):
    shape, kernel, rate_groups, *sizes = CASES[case]
    generator = torch.Generator().manual_seed(sum(map(ord, case)))
    x = random(generator, *shape, dtype=dtype)
    weight = random(generator, *kernel) / (kernel[1] * kernel[2])
    rate = choice(generator, rates, shape[0], rate_groups)
    bias = random(generator, kernel[0], dtype=dtype)
    return x, weight.to(dtype), rate, bias, sizes


def with_gradients(function, inputs, grad_seed=0):
    """Output of a differentiable function, and its gradients."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    out = function(*leaves)
    generator = torch.Generator().manual_seed(grad_seed)
    grad = random(generator, *out.shape, dtype=out.dtype)
    return out.detach(), grad, torch.autograd.grad(out, leaves, grad)


def hold_conv(case, dtype, tolerance):
    from mmdense.ops.adaptive_dilated_conv2d import reference, triton
    x, weight, rate, bias, sizes = conv_inputs(case, dtype)
    expected, grad, gradients = with_gradients(
        lambda *leaves: reference.adaptive_dilated_conv2d(
            *leaves, bias, *sizes), (x, weight, rate))
    close = dict(tolerance(dtype), equal_nan=True)
    out = triton.forward(x, weight, rate, bias, *sizes)
    torch.testing.assert_close(out, expected, **close)
    found = triton.backward(grad, x, weight, rate, *sizes, (True, ) * 3)
    for got, wanted in zip(found, gradients, strict=True):
        torch.testing.assert_close(got, wanted, **close)


@pytest.mark.parametrize('case', CASES)
def check_conv_equals_the_reference(case, tolerance):
    hold_conv(case, torch.float32, tolerance)


@pytest.mark.parametrize('dtype', HALVES, ids=str)
@pytest.mark.parametrize('case', ['groups', 'few_a_group', 'one_row'])
def check_conv_in_half_precision(case, dtype, tolerance):
    hold_conv(case, dtype, tolerance)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def check_conv_of_many_tiles_blocks_and_slices(dtype, monkeypatch, tolerance):
    """The smallest tiles, one block of one sample at a time."""
    small = dict(BLOCK_OUT=16, BLOCK_IN=16, BLOCK_P=16)
    from mmdense.ops.adaptive_dilated_conv2d.triton import (
        forward_kernel,
        input_kernels,
        weight_kernel,
    )
    for module, name in ((forward_kernel, 'forward_blocks'),
                         (input_kernels, 'products_blocks'),
                         (weight_kernel, 'weight_blocks')):
        monkeypatch.setattr(module, name, lambda *_: small)
    monkeypatch.setattr(input_kernels, 'SLICE', 1)
    monkeypatch.setitem(
        CASES, 'large',
        ((2, 20, 5, 7), (36, 10, 1, 3), 4, (1, 1), (0, 1), (1, 1), 2))
    hold_conv('large', dtype, tolerance)


@pytest.mark.parametrize('case',
                         ['plain', 'depthwise', 'one_row', 'pointwise'])
def check_a_rate_that_is_not_finite_spoils_its_sample_alone(case):
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = conv_inputs(case)
    x, rate = x[:1].repeat(3, 1, 1, 1), rate[:1].repeat(3, 1)
    rate[0, 0], rate[1, 0] = float('nan'), float('-inf')
    out = triton.forward(x, weight, rate, bias, *sizes)
    alone = triton.forward(x[2:], weight, rate[2:], bias, *sizes)
    spoilt = out.shape[1] // sizes[-1]
    assert out[:2, :spoilt].isnan().all()
    assert out[:2, spoilt:].isfinite().all()
    assert torch.equal(out[2:], alone)
    grads = triton.backward(
        torch.ones_like(out), x, weight, rate, *sizes, (True, ) * 3)
    channels = x.shape[1] // rate.shape[1]
    assert grads[0][:2, :channels].isnan().all()
    assert grads[0][2].isfinite().all()
    assert grads[2][:2, 0].isnan().all()
    assert grads[2][2].isfinite().all()


def check_far_rates_leave_the_middle_tap():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = conv_inputs('plain', rates=(1e9, -1e30))
    out = triton.forward(x, weight, rate, bias, *sizes)
    middle = plain(x, weight[:, :, 1:2, 1:2], bias)
    torch.testing.assert_close(out, middle)
    grads = triton.backward(
        torch.ones_like(out), x, weight, rate, *sizes, (True, ) * 3)
    assert torch.equal(grads[2], torch.zeros_like(rate))


@pytest.mark.parametrize('case', ['plain', 'strided', 'groups', 'depthwise'])
def check_rate_one_is_the_convolution_bit_for_bit(case):
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = conv_inputs(case, rates=(1.0, ))
    x, weight, bias = (
        (value * 8).round() for value in (x, weight * 4, bias))
    out = triton.forward(x, weight, rate, bias, *sizes)
    assert torch.equal(out, plain(x, weight, bias, sizes=sizes))


def check_conv_takes_any_layout_and_an_expanded_gradient(tolerance):
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, _, sizes = conv_inputs('plain')
    out = triton.forward(x, weight, rate, None, *sizes)
    other = triton.forward(
        x.to(memory_format=torch.channels_last),
        weight.transpose(2, 3).contiguous().transpose(2, 3),
        rate.expand(2, 2, -1)[0], None, *sizes)
    assert torch.equal(out, other)
    wanted = triton.backward(
        torch.ones_like(out), x, weight, rate, *sizes, (True, ) * 3)
    got = triton.backward(
        torch.ones(()).expand(out.shape),
        x.to(memory_format=torch.channels_last), weight, rate, *sizes,
        (True, ) * 3)
    for one, two in zip(got, wanted, strict=True):
        assert torch.equal(one, two)


def check_each_gradient_can_be_asked_for_alone():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, _, sizes = conv_inputs('one_row')
    grad = triton.forward(x, weight, rate, None, *sizes)
    together = triton.backward(grad, x, weight, rate, *sizes, (True, ) * 3)
    for index in range(3):
        mask = [index == other for other in range(3)]
        alone = triton.backward(grad, x, weight, rate, *sizes, mask)
        assert [value is not None for value in alone] == mask
        assert torch.equal(alone[index], together[index])


def check_an_empty_batch_has_empty_results_and_no_weight_gradient():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x, weight, rate, bias, sizes = conv_inputs('plain')
    out = triton.forward(x[:0], weight, rate[:0], bias, *sizes)
    assert out.shape == (0, 6, 4, 7)
    grads = triton.backward(out, x[:0], weight, rate[:0], *sizes, (True, ) * 3)
    assert grads[0].shape == x[:0].shape and grads[2].shape == (0, 5)
    assert torch.equal(grads[1], torch.zeros_like(weight))


def check_a_map_past_32_bit_positions_is_refused():
    from mmdense.ops.adaptive_dilated_conv2d import triton
    x = torch.empty(1, 1, 2**16, 2**15, device='meta')
    with pytest.raises(ValueError, match='at most 2\\*\\*30 pixels'):
        triton.forward(x, torch.empty(1, 1, 1, 1), torch.ones(1, 1), None,
                       (1, 1), (0, 0), (1, 1), 1)


def check_the_public_function_reaches_the_kernels(tolerance):
    from mmdense.ops import adaptive_dilated_conv2d, use_backend
    x, weight, rate, bias, sizes = conv_inputs('strided')
    results = []
    for name in ('triton', 'reference'):
        with use_backend(name):
            results.append(with_gradients(
                lambda *leaves: adaptive_dilated_conv2d(
                    *leaves, bias, *sizes), (x, weight, rate)))
    (out, _, grads), (expected, _, wanted) = results
    close = tolerance(torch.float32)
    torch.testing.assert_close(out, expected, **close)
    torch.testing.assert_close(grads, wanted, **close)


@pytest.mark.parametrize('dtype', [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize('shape', [(2, 3, 5, 7), (2, 9, 1, 1), (1, 2, 1, 6),
                                   (1, 2, 9, 1)])
def check_shift_equals_the_reference(shape, dtype, tolerance):
    from mmdense.ops.channel_shift import reference, triton
    generator = torch.Generator().manual_seed(shape[1])
    x = random(generator, *shape, dtype=dtype)
    offset = choice(generator, OFFSETS, *shape[:2], 2)
    expected, grad, gradients = with_gradients(reference.channel_shift,
                                               (x, offset))
    close = tolerance(dtype)
    torch.testing.assert_close(triton.forward(x, offset), expected, **close)
    found = triton.backward(grad, x, offset, True, True)
    for got, wanted in zip(found, gradients, strict=True):
        torch.testing.assert_close(got, wanted, **close)


def check_shift_of_many_tiles_any_layout_and_shared_offsets(monkeypatch,
                                                            tolerance):
    from mmdense.ops.channel_shift import reference, triton
    monkeypatch.setattr(triton, 'TILE', 16)
    generator = torch.Generator().manual_seed(0)
    wide = random(generator, 2, 3, 5, 14)
    x = wide.to(memory_format=torch.channels_last)[..., ::2]
    offset = random(generator, 3, 2) * 3
    expected, grad, gradients = with_gradients(
        lambda x, offset: reference.channel_shift(
            x, offset.expand(2, 3, 2)), (x, offset))
    close = tolerance(torch.float32)
    torch.testing.assert_close(triton.forward(x, offset), expected, **close)
    found = triton.backward(
        grad.to(memory_format=torch.channels_last), x, offset, True, True)
    for got, wanted in zip(found, gradients, strict=True):
        torch.testing.assert_close(got, wanted, **close)
    assert triton.backward(grad, x, offset, False, False) == (None, None)


def check_shifts_that_are_not_finite_spoil_their_channel_alone():
    from mmdense.ops.channel_shift import triton
    x = torch.ones(1, 4, 3, 5)
    offset = torch.zeros(1, 4, 2)
    offset[0, 0, 0], offset[0, 1, 1] = float('nan'), float('inf')
    offset[0, 2] = torch.tensor([1e9, -1e30])
    out = triton.forward(x, offset)
    assert out[0, :2].isnan().all()
    assert torch.equal(out[0, 2], torch.zeros(3, 5))
    assert torch.equal(out[0, 3], x[0, 3])


def check_an_empty_shift_is_empty():
    from mmdense.ops.channel_shift import triton
    x, offset = torch.empty(0, 3, 4, 5), torch.zeros(3, 2)
    assert triton.forward(x, offset).shape == x.shape
    grads = triton.backward(x, x, offset, True, True)
    assert grads[0].shape == x.shape
    assert torch.equal(grads[1], torch.zeros(3, 2))


def compile_every_launch(dtype: torch.dtype) -> None:
    """Call the launchers, compiling each launch in place of running it."""
    from mmdense.ops.adaptive_dilated_conv2d import triton as conv
    from mmdense.ops.adaptive_dilated_conv2d.triton import (
        forward_kernel,
        input_kernels,
        weight_kernel,
    )
    from mmdense.ops.channel_shift import triton as shift
    for module in (shift, forward_kernel, input_kernels, weight_kernel):
        for name in dir(module):
            if name.endswith('_kernel'):
                setattr(module, name, Compiled(getattr(module, name)))
    # ResNet sizes; grouped with a stride; depthwise, 1 x 1 map, 5 x 5 kernel.
    x = torch.empty(2, 64, 64, 48, dtype=dtype)
    shift.forward(x, torch.zeros(64, 2))
    shift.backward(x, x, torch.zeros(64, 2), False, True)
    for shape, kernel, rate_groups, stride, groups in (
        ((1, 256, 16, 12), (256, 256, 3, 3), 256, (1, 1), 1),
        ((2, 48, 15, 13), (96, 12, 3, 3), 4, (2, 1), 4),
        ((1, 6, 1, 1), (6, 1, 5, 5), 1, (1, 1), 6),
    ):
        x = torch.empty(shape, dtype=dtype)
        weight = torch.empty(kernel, dtype=dtype)
        rate = torch.ones(shape[0], rate_groups)
        sizes = stride, (kernel[2] // 2, ) * 2, (1, 1), groups
        out = conv.forward(x, weight, rate, weight[:, 0, 0, 0], *sizes)
        conv.backward(out, x, weight, rate, *sizes, (True, ) * 3)


class Compiled:
    """Stands for a kernel: ``kernel[grid](...)`` compiles for sm_90.

    Arguments are specialised as a launch would: None and 1 are constants,
    pointers and sizes that 16 divides are marked so.
    """
    TYPES = {
        torch.float32: '*fp32',
        torch.float16: '*fp16',
        torch.bfloat16: '*bf16'
    }

    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.compile

    def compile(self, *arguments, num_warps, **named):
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
        named.update(zip(self.kernel.arg_names, arguments, strict=False))
        signature, constants, attributes = {}, {}, {}
        for index, parameter in enumerate(self.kernel.params):
            name, value = parameter.name, named[parameter.name]
            if parameter.is_constexpr or value is None or (
                    type(value) is int and value == 1):
                signature[name] = 'constexpr'
                constants[index, ] = value
                continue
            pointer = isinstance(value, torch.Tensor)
            signature[name] = self.TYPES[value.dtype] if pointer else 'i32'
            if pointer or value % 16 == 0:
                attributes[index, ] = [['tt.divisibility', 16]]
        start = time.perf_counter()
        binary = triton.compile(
            ASTSource(self.kernel, signature, constants, attributes),
            target=GPUTarget('cuda', 90, 32),
            options=dict(num_warps=num_warps))
        assert binary.asm['cubin']
        print(f'compiled {self.kernel.__name__} in '
              f'{time.perf_counter() - start:.1f} s')


if __name__ == '__main__':
    compile_every_launch(getattr(torch, sys.argv[1]))
