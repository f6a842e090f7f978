"""``adaptive_dilated_conv2d`` with a rate for every output position.

Two oracles: torchvision's deformable convolution, with offsets built from the
rates, and the form with one rate for the whole map, where that is constant.
"""
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from mmdense.ops import adaptive_dilated_conv2d, use_backend


@dataclass(frozen=True)
class Case:
    """One convolution; ``rates`` is the g of the rate (N, g, H', W')."""
    size: tuple = (6, 5)
    channels: int = 4
    out: int = 3
    rates: int = 1
    kernel: tuple = (3, 3)
    stride: tuple = (1, 1)
    padding: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    samples: int = 2

    @property
    def arguments(self):
        return (self.stride, self.padding, self.dilation, self.groups)


# Names say what each one exposes.
CASES = {
    'one rate a pixel': Case(),
    'one rate a pixel and channel': Case(rates=4),
    'one pixel': Case(size=(1, 1), channels=5, rates=5),
    'single row': Case(size=(1, 8), channels=3),
    'single column': Case(size=(7, 1), channels=3, rates=3),
    'stride 2 on odd': Case(size=(7, 5), stride=(2, 2)),
    'no padding': Case(size=(5, 6), padding=(0, 0), rates=2),
    'axes differ': Case(
        size=(8, 7), stride=(2, 1), padding=(1, 3), dilation=(1, 2)),
    'axes differ otherwise': Case(
        size=(7, 8), stride=(1, 3), padding=(2, 0), dilation=(3, 1), rates=2),
    'kernel 5 by 1': Case(size=(7, 4), kernel=(5, 1), padding=(2, 0)),
    'kernel 1': Case(kernel=(1, 1), padding=(0, 0), rates=2),
    'groups': Case(channels=8, out=4, rates=8, groups=4),
    'depthwise': Case(channels=5, out=10, groups=5),
    'depthwise, a rate a channel': Case(
        channels=18, out=18, rates=18, groups=18),
    'depthwise, two outputs': Case(channels=21, out=42, rates=3, groups=21),
    'rates across groups': Case(channels=6, rates=2, groups=3, out=3),
    'rates of whole vectors': Case(channels=64, rates=2, out=17),
    'rates off the vectors': Case(channels=66, rates=3, out=33),
    'groups of whole vectors': Case(
        channels=64, rates=4, out=36, groups=2, size=(5, 9)),
    'blocks end unevenly': Case(
        size=(19, 17), channels=133, rates=1, out=51, samples=3),
    'many samples': Case(size=(3, 2), samples=33, channels=17, out=5),
}
SMALL = [name for name, case in CASES.items() if case.channels < 10]


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def operands(case):
    """x, weight, rate and bias; the rates lie between -2 and 6, some far."""
    x = draw(case.samples, case.channels, *case.size)
    weight = draw(case.out, case.channels // case.groups, *case.kernel, seed=1)
    bias = draw(case.out, seed=2)
    size = F.conv2d(x, weight, None, *case.arguments).shape[2:]
    rate = 1 + draw(case.samples, case.rates, *size, seed=3)
    rate.flatten()[::7] *= 3
    rate.flatten()[5::11] += 30
    return x, weight, rate, bias


def run(case, tensors, convolve=adaptive_dilated_conv2d):
    """Output, and the gradients of x, weight, rate and bias."""
    inputs = [t.detach().requires_grad_() for t in tensors]
    out = convolve(*inputs, *case.arguments)
    # Weights that no symmetry of the kernel can hide behind.
    slopes = torch.linspace(-1, 2, out.numel(), dtype=torch.float64)
    slopes = slopes.to(out.dtype).view(out.shape)
    return [out.detach(), *torch.autograd.grad(out, inputs, slopes)]


def assert_all_close(actual, expected, **tolerance):
    for a, e in zip(actual, expected, strict=True):
        # Sums over kernels and maps; errors grow with what is summed.
        scale = max(1.0, e.abs().max().item() if e.numel() else 1)
        torch.testing.assert_close(
            a.double() / scale, e.double() / scale, **tolerance)


def deformable(case):
    """The same convolution by torchvision's deformable one."""
    library = pytest.importorskip('torchvision.ops')

    def convolve(x, weight, rate, bias, stride, padding, dilation, groups):
        reach = torch.stack(
            torch.meshgrid(
                *(d * (torch.arange(k, dtype=rate.dtype) - (k - 1) / 2)
                  for k, d in zip(case.kernel, dilation, strict=True)),
                indexing='ij'), -1)
        # (dy, dx) of every tap, taps in row-major order, rate groups first.
        offset = (rate - 1)[:, :, None] * reach.view(-1, 1, 1)
        return library.deform_conv2d(x, offset.flatten(1, 2), weight, bias,
                                     stride, padding, dilation)

    return convolve


@pytest.mark.parametrize('name', CASES)
def test_values_and_gradients_match_deformable_convolution(backend, name):
    case, tensors = CASES[name], operands(CASES[name])
    expected = run(case, tensors, convolve=deformable(case))
    assert_all_close(run(case, tensors), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('rate', [0., 1., 2., -1., 0.4, 7.3, 40., 1e9])
@pytest.mark.parametrize('name', [
    'one rate a pixel', 'axes differ', 'groups', 'rates off the vectors',
    'depthwise, two outputs'])
def test_a_constant_rate_is_that_of_the_whole_map(backend, name, rate):
    # At whole rates, too: both have the right derivative there.
    case = CASES[name]
    x, weight, rates, bias = operands(case)
    each = torch.full_like(rates, rate)
    whole = torch.full_like(rates[:, :, 0, 0], rate)
    got = run(case, (x, weight, each, bias))
    got[3] = got[3].sum((2, 3))
    with use_backend('reference'):
        wanted = run(case, (x, weight, whole, bias))
    assert_all_close(got, wanted, rtol=1e-9, atol=1e-9)


def test_each_pixel_has_its_own_rate(backend):
    # Pixel (i, j) is 10 i + j + 1; the tap right of the centre reads `rate`
    # columns to the right.
    ramp = torch.tensor([[1., 2, 3, 4, 5], [11, 12, 13, 14, 15]])[None, None]
    weight = torch.zeros(1, 1, 1, 3)
    weight[..., 2] = 1
    rate = torch.tensor([[0., 1, 0.5, 1.5, -2], [4, -1, 2, 1, 1]])[None, None]
    answer = torch.tensor([[1., 3, 3.5, 2.5, 3], [15, 11, 15, 15, 0]])
    out = adaptive_dilated_conv2d(ramp, weight, rate, padding=(0, 1))
    torch.testing.assert_close(out[0, 0], answer)


def test_neighbouring_channels_share_a_rate(backend):
    case = Case(channels=6, rates=3)
    x, weight, rate, bias = operands(case)
    shared = run(case, (x, weight, rate, bias))
    each = run(case, (x, weight, rate.repeat_interleave(2, 1), bias))
    each[3] = each[3].unflatten(1, (3, 2)).sum(2)
    assert_all_close(shared, each, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('name', [
    'one rate a pixel', 'axes differ otherwise', 'groups', 'depthwise'])
def test_gradcheck_a_quarter_off_the_integers(backend, name):
    case = CASES[name]
    x, weight, rate, bias = operands(case)
    # Also times the dilation of 3, which takes 0.375 to 0.125.
    tensors = [x, weight, rate.floor() + 0.375, bias]
    assert torch.autograd.gradcheck(
        lambda *t: adaptive_dilated_conv2d(*t, *case.arguments),
        [t.requires_grad_() for t in tensors],
        fast_mode=True)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('name', [
    'one rate a pixel', 'groups', 'kernel 1', 'depthwise, two outputs',
    'rates off the vectors'])
def test_a_bad_rate_spoils_the_outputs_that_read_it(backend, bad, name):
    case = CASES[name]
    x, weight, rate, bias = operands(case)
    good = run(case, (x, weight, rate, bias))
    rate[1, -1, -1, 0] = bad
    out, grad_x, _, grad_rate, _ = run(case, (x, weight, rate, bias))
    # The last convolution groups, in part or whole, read the last rate.
    per_rate, in_group = case.channels // case.rates, weight.shape[1]
    first = (case.channels - per_rate) // in_group
    first *= case.out // case.groups
    assert out[1, first:, -1, 0].isnan().all()
    out[1, first:, -1, 0] = good[0][1, first:, -1, 0]
    assert torch.equal(out, good[0])
    assert torch.equal(grad_x[0], good[1][0])
    assert grad_rate[1, -1, -1, 0].isnan()
    grad_rate[1, -1, -1, 0] = good[3][1, -1, -1, 0]
    assert torch.equal(grad_rate, good[3])


@pytest.mark.parametrize('far', [1e9, -1e9, 1e30, 2.**31, 2.**63])
@pytest.mark.parametrize('name', ['one rate a pixel', 'depthwise',
                                  'one rate a pixel and channel'])
def test_a_rate_beyond_the_map_leaves_the_middle_tap(backend, far, name):
    case = CASES[name]
    x, weight, rate, bias = (t.float() for t in operands(case))
    out, _, _, grad_rate, _ = run(
        case, (x, weight, torch.full_like(rate, far), bias))
    torch.testing.assert_close(
        out, F.conv2d(x, weight[:, :, 1:2, 1:2], bias, groups=case.groups))
    assert torch.equal(grad_rate, torch.zeros_like(rate))


def test_an_infinite_pixel_stays_where_it_is_read(backend):
    case = CASES['one rate a pixel']
    x, weight, rate, bias = operands(case)
    rate = rate.clamp(0.2, 1)
    clean = run(case, (x, weight, rate, bias))[0]
    x[1, 0, 0, 0] = torch.inf
    out = run(case, (x, weight, rate, bias))[0]
    assert torch.equal(out[0], clean[0])
    # Taps reach at most one pixel beyond the neighbours.
    assert torch.equal(out[1, :, 2:], clean[1, :, 2:])
    assert torch.equal(out[1, :, :, 2:], clean[1, :, :, 2:])
    assert not out[1, :, 0, 0].isfinite().any()


@pytest.mark.parametrize('name', ['groups', 'one rate a pixel'])
def test_an_empty_batch_gives_an_empty_map(backend, name):
    case = CASES[name]
    x, weight, rate, bias = operands(case)
    out, grad_x, grad_weight, grad_rate, grad_bias = run(
        case, (x[:0], weight, rate[:0], bias))
    assert out.shape == (0, case.out, 6, 5)
    assert grad_x.shape == x[:0].shape and grad_rate.shape == rate[:0].shape
    assert torch.equal(grad_weight, torch.zeros_like(weight))
    assert torch.equal(grad_bias, torch.zeros_like(bias))


LAYOUTS = {
    'channels last': lambda x: x.contiguous(
        memory_format=torch.channels_last),
    'transposed': lambda x: x.mT.contiguous().mT,
    'expanded': lambda x: x[..., :1].expand_as(x),
}


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['axes differ', 'groups', 'depthwise',
                                  'rates off the vectors'])
def test_layout_in_memory_changes_nothing(backend, layout, name):
    case, arrange = CASES[name], LAYOUTS[layout]
    x, weight, rate, bias = map(arrange, operands(case)[:3] + (draw(
        1, 1, 1, case.out, seed=2), ))
    bias = bias.flatten()
    expected = run(case, [
        t.contiguous(memory_format=torch.contiguous_format)
        for t in (x, weight, rate, bias)])
    got = run(case, (x, weight, rate, bias))
    assert_all_close(got, expected, rtol=1e-9, atol=1e-9)
    if layout == 'channels last' and backend == 'cpu':
        for result in got[:2]:
            assert result.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('dtype', [
    torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', CASES)
def test_every_dtype_is_near_float64(backend, tolerance, name, dtype):
    case = CASES[name]
    tensors = [
        t.to(torch.float32 if k == 2 else dtype)
        for k, t in enumerate(operands(case))
    ]
    # The same rates in float32: slopes jump between pixels.
    with use_backend('reference'):
        expected = run(case, [t.double() for t in tensors])
    got = run(case, tensors)
    assert [t.dtype for t in got] == [dtype, dtype, dtype, torch.float32,
                                      dtype]
    assert_all_close(got, expected, **tolerance(dtype))


@pytest.mark.parametrize('needed', range(4))
@pytest.mark.parametrize('name', ['rates across groups', 'depthwise'])
def test_one_gradient_can_be_asked_for_alone(backend, needed, name):
    case, tensors = CASES[name], operands(CASES[name])
    every = run(case, tensors)
    tensors[needed].requires_grad_()
    out = adaptive_dilated_conv2d(*tensors, *case.arguments)
    slopes = torch.linspace(-1, 2, out.numel(), dtype=out.dtype)
    alone, = torch.autograd.grad(out, tensors[needed], slopes.view(out.shape))
    torch.testing.assert_close(alone, every[1 + needed])


@pytest.mark.parametrize('name', [
    'blocks end unevenly', 'rates off the vectors',
    'depthwise, a rate a channel', 'groups of whole vectors'])
def test_bits_depend_neither_on_the_run_nor_on_threads(cpu_kernel, name):
    case = CASES[name]
    tensors = [t.float() for t in operands(case)]
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 1, 3):
            torch.set_num_threads(threads)
            results.append(run(case, tensors))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.slow
@pytest.mark.parametrize('level', ['default', 'avx2'])
def test_lower_instruction_sets_give_the_same_answers(cpu_kernel, level):
    done = subprocess.run([
        sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
        __file__, '-k', 'cpu and (match or near_float64) or bits_depend'
    ],
                          env=os.environ | {'ATEN_CPU_CAPABILITY': level},
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout[-2000:]


# ---- A real operator


@pytest.mark.parametrize('name', ['axes differ', 'groups', 'depthwise'])
@pytest.mark.parametrize('layout', [
    torch.contiguous_format, torch.channels_last])
def test_opcheck(cpu_kernel, name, layout):
    case = CASES[name]
    tensors = [t.float().requires_grad_() for t in operands(case)]
    tensors[0] = tensors[0].detach().to(
        memory_format=layout).requires_grad_()
    sizes = [list(s) for s in case.arguments[:3]] + [case.groups]
    operator = torch.ops.mmdense.adaptive_dilated_conv2d.default
    torch.library.opcheck(operator, (*tensors, *sizes, 'auto'))


class Layer(torch.nn.Module):
    """A layer whose rates depend on its input, as in the scale-adaptive."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(draw(6, 4, 3, 3).float())
        self.bias = torch.nn.Parameter(draw(6, seed=1).float())

    def forward(self, x):
        rate = 1 + x.mean(1, keepdim=True)[..., ::2, ::2]
        return adaptive_dilated_conv2d(x, self.weight, rate, self.bias, 2, 1)


@pytest.mark.parametrize('dynamic', [False, True])
def test_compiles_without_graph_break(backend, dynamic):
    if backend == 'reference' and dynamic:
        pytest.skip('traced as plain PyTorch')
    layer = Layer()
    compiled = torch.compile(
        layer, fullgraph=True, backend='aot_eager', dynamic=dynamic)
    for shape in ((2, 4, 7, 6), (3, 4, 8, 9)):
        x = draw(*shape).float().requires_grad_()
        inputs = (x, layer.weight, layer.bias)
        out, plain = compiled(x), layer(x)
        torch.testing.assert_close(out, plain)
        for a, b in zip(
                torch.autograd.grad(out.sum(), inputs),
                torch.autograd.grad(plain.sum(), inputs),
                strict=True):
            torch.testing.assert_close(a, b)


def test_exports_with_a_free_batch_size(backend):
    layer = Layer()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(
        layer, (draw(2, 4, 7, 6).float(), ), dynamic_shapes=({0: batch}, ))
    x = draw(5, 4, 7, 6, seed=1).float()
    torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.skipif(
    not hasattr(torch.export.Dim, 'AUTO'), reason='needs torch 2.6')
def test_onnxruntime_runs_the_exported_graph(tmp_path):
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    layer, path = Layer().eval(), tmp_path / 'layer.onnx'
    torch.onnx.export(
        layer, (draw(2, 4, 7, 6).float(), ),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim('batch', min=1, max=64)}, ))
    session = runtime.InferenceSession(
        path, providers=['CPUExecutionProvider'])
    for batch in (1, 4):
        x = draw(batch, 4, 7, 6, seed=1).float()
        got, = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(
            torch.from_numpy(got), layer(x).detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize('shape, message', [
    ((2, 3, 3, 4), r'\(N, g\) or \(N, g, H_out, W_out\) with N = 2 and g '
     r'dividing C = 4, got \(2, 3, 3, 4\)'),
    ((1, 2, 3, 4), r'rate .* N = 2 .*, got \(1, 2, 3, 4\)'),
    ((2, 0, 3, 4), r'rate .*, got \(2, 0, 3, 4\)'),
    ((2, 2, 4, 3), r'H_out, W_out = 3, 4, got \(2, 2, 4, 3\)'),
    ((2, 2, 5, 6), r'H_out, W_out = 3, 4, got \(2, 2, 5, 6\)'),
    ((2, 2, 3), r'rate must .*, got \(2, 2, 3\)'),
])
def test_wrong_rates_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        adaptive_dilated_conv2d(
            torch.zeros(2, 4, 5, 6), torch.zeros(6, 4, 3, 3),
            torch.ones(shape))
