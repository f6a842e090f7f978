"""``adaptive_dilated_conv2d``: conventions, registration, errors."""
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from mmdense.ops import adaptive_dilated_conv2d, use_backend

FORWARD = torch.ops.mmdense.adaptive_dilated_conv2d.default
BACKWARD = torch.ops.mmdense.adaptive_dilated_conv2d_backward.default

# (x, weight, g, stride, padding, dilation, groups), every pair unequal.
CASES = {
    'plain': ((2, 8, 7, 9), (6, 8, 3, 3), 4, 1, 1, 1, 1),
    'uneven': ((2, 6, 9, 8), (4, 6, 5, 3), 6, (2, 1), (3, 0), (1, 2), 1),
    'grouped': ((3, 8, 6, 5), (12, 2, 3, 3), 2, 2, 2, 2, 4),
    'depthwise': ((2, 5, 8, 6), (5, 1, 3, 3), 1, 1, 1, 1, 5),
    'pointwise': ((2, 4, 5, 6), (3, 4, 1, 1), 2, (1, 2), 0, 1, 1),
    'single row': ((1, 4, 1, 9), (3, 4, 1, 3), 4, 1, (0, 1), 1, 1),
}


def draw(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def make(name, dtype=torch.float32):
    """Tensors (x, weight, rate, bias) and the four sizes of a case."""
    x, weight, g, *sizes = CASES[name]
    rate = 1 + 0.7 * draw(x[0], g, seed=2, dtype=torch.float64)
    return (draw(*x, dtype=dtype), draw(*weight, seed=1, dtype=dtype),
            rate.to(dtype), draw(weight[0], seed=3, dtype=dtype)), sizes


def gradients(x, weight, rate, bias, *sizes):
    tensors = [t.detach().requires_grad_() for t in (x, weight, rate, bias)]
    out = adaptive_dilated_conv2d(*tensors, *sizes)
    # Weights that no symmetry of the kernel can hide behind.
    slopes = torch.linspace(-1, 2, out.numel(), dtype=out.dtype)
    (out * slopes.view(out.shape)).sum().backward()
    return [out.detach(), *(t.grad for t in tensors)]


# ---- The convention


@pytest.mark.parametrize('name', CASES)
def test_rate_one_is_the_plain_convolution_bit_for_bit(backend, name):
    (x, weight, rate, bias), sizes = make(name)
    # Small integers: no summation order can round them.
    x, weight, bias = ((4 * t).round() for t in (x, weight, bias))
    out = adaptive_dilated_conv2d(x, weight, torch.ones_like(rate), bias,
                                  *sizes)
    assert torch.equal(out, F.conv2d(x, weight, bias, *sizes))


@pytest.mark.parametrize('rate', [0., 2., 3., -1.])
def test_a_whole_rate_is_that_dilation_about_the_same_centre(backend, rate):
    x = (4 * draw(2, 3, 9, 8)).round()
    weight = (4 * draw(4, 3, 3, 3, seed=1)).round()
    out = adaptive_dilated_conv2d(x, weight, torch.full((2, 1), rate), None,
                                  2, 1, 1)
    if rate == 0:
        expected = F.conv2d(x, weight.sum((2, 3), keepdim=True), None, 2)
    elif rate < 0:
        expected = F.conv2d(x, weight.flip(2, 3), None, 2, 1)
    else:
        expected = F.conv2d(x, weight, None, 2, int(rate), int(rate))
    assert torch.equal(out, expected)


def test_neighbouring_channels_share_a_rate(backend):
    x, weight = draw(1, 6, 5, 5), draw(2, 6, 3, 3, seed=1)
    shared = adaptive_dilated_conv2d(
        x, weight, torch.tensor([[0.5, 1., 2.5]]), None, 1, 1)
    # floor(c * g / C) for C = 6, g = 3.
    each = torch.tensor([[0.5, 0.5, 1., 1., 2.5, 2.5]])
    torch.testing.assert_close(
        shared, adaptive_dilated_conv2d(x, weight, each, None, 1, 1))


def test_each_sample_has_rates_of_its_own(backend):
    (x, weight, rate, bias), sizes = make('uneven')
    whole = adaptive_dilated_conv2d(x, weight, rate, bias, *sizes)
    for n in range(2):
        one = adaptive_dilated_conv2d(x[n:n + 1], weight, rate[n:n + 1], bias,
                                      *sizes)
        torch.testing.assert_close(whole[n:n + 1], one)


@pytest.mark.parametrize('padding', ['same', 'valid'])
def test_padding_by_name_is_that_of_the_convolution(backend, padding):
    x, weight = draw(1, 2, 7, 9), draw(3, 2, 5, 3, seed=1)
    out = adaptive_dilated_conv2d(x, weight, torch.ones(1, 1), None, 1,
                                  padding, (1, 2))
    torch.testing.assert_close(
        out, F.conv2d(x, weight, None, 1, padding, (1, 2)))


@pytest.mark.parametrize('rate', [-1., 0., 1., 2.])
def test_the_derivative_at_whole_pixels_is_the_right_one(backend, rate):
    # One tap right of the centre: its position grows with the rate.
    weight = torch.zeros(1, 1, 1, 3, dtype=torch.float64)
    weight[..., 2] = 1
    x = draw(1, 1, 1, 5, dtype=torch.float64)
    at = torch.full((1, 1), rate, dtype=torch.float64, requires_grad=True)
    out = adaptive_dilated_conv2d(x, weight, at, None, 1, (0, 1))
    slopes = torch.linspace(-1, 2, 5, dtype=torch.float64)
    (out.flatten() * slopes).sum().backward()
    ahead = adaptive_dilated_conv2d(x, weight, at.detach() + 0.5, None, 1,
                                    (0, 1))
    rise = (ahead - out.detach()).flatten() / 0.5
    torch.testing.assert_close(at.grad[0, 0], (rise * slopes).sum())


@pytest.mark.parametrize('name', ['uneven', 'grouped', 'depthwise'])
def test_gradcheck_off_the_pixels(backend, name):
    (x, weight, rate, bias), sizes = make(name, torch.float64)
    # A quarter off the integers, also times the dilation of 2.
    rate = rate.floor() + 0.375
    tensors = [t[:2].requires_grad_() if t is x or t is rate else
               t.requires_grad_() for t in (x, weight, rate, bias)]
    assert torch.autograd.gradcheck(
        lambda *t: adaptive_dilated_conv2d(*t, *sizes), tensors,
        fast_mode=True)


# ---- Not finite, far away, empty


@pytest.mark.parametrize('bad', [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize('name', ['plain', 'grouped', 'pointwise'])
def test_a_bad_rate_spoils_its_sample_and_no_other(backend, bad, name):
    (x, weight, rate, bias), sizes = make(name)
    good = gradients(x, weight, rate, bias, *sizes)
    rate[1, -1] = bad
    out, grad_x, _, grad_rate, _ = gradients(x, weight, rate, bias, *sizes)
    groups = sizes[-1]
    # What a NaN in the last rate group's channels would reach.
    reached = weight.shape[0] // 2 if groups == 4 else 0
    assert out[1, reached:].isnan().all()
    assert torch.equal(out[1, :reached], good[0][1, :reached])
    torch.testing.assert_close(out[0], good[0][0])
    torch.testing.assert_close(grad_x[0], good[1][0])
    torch.testing.assert_close(grad_rate[0], good[3][0])


@pytest.mark.parametrize('far', [1e9, -1e9, 1e30, 2.**31, 2.**63])
def test_a_rate_beyond_the_map_leaves_the_middle_tap(backend, far):
    x, weight = draw(2, 3, 5, 6), draw(4, 3, 3, 3, seed=1)
    out = adaptive_dilated_conv2d(x, weight, torch.full((2, 3), far), None, 1,
                                  1)
    torch.testing.assert_close(out, F.conv2d(x, weight[:, :, 1:2, 1:2]))


def test_an_empty_batch_gives_an_empty_output(backend):
    (x, weight, rate, bias), sizes = make('uneven')
    out, grad_x, grad_weight, grad_rate, grad_bias = gradients(
        x[:0], weight, rate[:0], bias, *sizes)
    assert out.shape == (0, *F.conv2d(x, weight, bias, *sizes).shape[1:])
    assert grad_x.shape[0] == grad_rate.shape[0] == 0
    assert torch.equal(grad_weight, torch.zeros_like(weight))
    assert torch.equal(grad_bias, torch.zeros_like(bias))


# ---- The kernel against the reference


@pytest.mark.parametrize('dtype', [
    torch.float64, torch.float32, torch.float16, torch.bfloat16
])
@pytest.mark.parametrize('name', CASES)
def test_the_kernel_equals_the_reference(cpu_kernel, tolerance, name, dtype):
    (x, weight, rate, bias), sizes = make(name, torch.float64)
    x, weight, bias = (t.to(dtype) for t in (x, weight, bias))
    rate = rate if dtype == torch.float64 else rate.float()
    got = gradients(x, weight, rate, bias, *sizes)
    with use_backend('reference'):
        wanted = gradients(x, weight, rate, bias, *sizes)
    for a, b in zip(got, wanted, strict=True):
        # Sums over kernels and maps; errors grow with what is summed.
        scale = max(1.0, b.abs().max().item())
        torch.testing.assert_close(a / scale, b / scale, **tolerance(dtype))


@pytest.mark.parametrize('layout', [
    lambda x: x.to(memory_format=torch.channels_last),
    lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    lambda x: x[:, :, :, :1].expand(-1, -1, -1, 9),
], ids=['channels_last', 'transposed', 'expanded'])
def test_the_layout_of_the_input_does_not_matter(backend, tolerance, layout):
    (x, weight, rate, bias), sizes = make('plain')
    x, weight = layout(x), weight.to(memory_format=torch.channels_last)
    rate = rate.t().contiguous().t()
    for a, b in zip(
            gradients(x, weight, rate, bias, *sizes),
            gradients(x.contiguous(), weight.contiguous(), rate.contiguous(),
                      bias, *sizes),
            strict=True):
        torch.testing.assert_close(a, b, **tolerance(torch.float32))


def test_the_memory_format_is_kept(cpu_kernel):
    (x, weight, rate, bias), sizes = make('plain')
    x = x.to(memory_format=torch.channels_last)
    out, grad_x, *_ = gradients(x, weight, rate, bias, *sizes)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert grad_x.is_contiguous(memory_format=torch.channels_last)


def test_two_runs_are_bit_equal(backend):
    x, weight = draw(3, 32, 24, 20), draw(16, 32, 3, 3, seed=1)
    rate, bias = 1 + draw(3, 32, seed=2), draw(16, seed=3)
    first = gradients(x, weight, rate, bias, 1, 1)
    for a, b in zip(first, gradients(x, weight, rate, bias, 1, 1),
                    strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('needed', range(4))
def test_one_gradient_can_be_asked_for_alone(backend, needed):
    tensors, sizes = make('grouped')
    every = gradients(*tensors, *sizes)
    tensors[needed].requires_grad_()
    out = adaptive_dilated_conv2d(*tensors, *sizes)
    slopes = torch.linspace(-1, 2, out.numel()).view(out.shape)
    alone, = torch.autograd.grad((out * slopes).sum(), tensors[needed])
    torch.testing.assert_close(alone, every[1 + needed])


# ---- A real operator


@pytest.mark.parametrize('name', ['plain', 'uneven', 'grouped'])
@pytest.mark.parametrize('layout', [
    torch.contiguous_format, torch.channels_last])
def test_opcheck(cpu_kernel, name, layout):
    (x, weight, rate, bias), sizes = make(name)
    sizes = [[s, s] if isinstance(s, int) else list(s)
             for s in sizes[:3]] + sizes[3:]
    x = x.to(memory_format=layout)
    out = FORWARD(x, weight, rate, None, *sizes, 'auto')
    for needs in ([True] * 3, [True, False, False], [False, True, True]):
        torch.library.opcheck(BACKWARD, (torch.ones_like(out), x, weight, rate,
                                         *sizes, needs, 'auto'))
    for tensor in (x, weight, rate, bias):
        tensor.requires_grad_()
    torch.library.opcheck(FORWARD, (x, weight, rate, bias, *sizes, 'auto'))
    torch.library.opcheck(FORWARD, (x, weight, rate, None, *sizes, 'auto'))


@pytest.mark.parametrize('layout', [
    torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('shape', [(2, 4, 3, 5), (2, 1, 3, 5), (2, 4, 1, 1),
                                   (1, 4, 3, 3)])
def test_fake_kernels_promise_the_strides_that_come(cpu_kernel, shape,
                                                    layout):
    # opcheck looks at shapes only.
    # An output of one pixel is laid out both ways at once.
    def run():
        x = torch.ones(shape).to(memory_format=layout)
        weight = torch.ones(5, shape[1], 3, 3).to(memory_format=layout)
        sizes = [[1, 1], [1, 1] if shape[3] != 3 else [0, 0], [1, 1], 1]
        rate = torch.ones(shape[0], 1)
        out = FORWARD(x, weight, rate, None, *sizes, 'auto')
        return [out, *BACKWARD(out, x, weight, rate, *sizes, [True] * 3,
                               'auto')]

    with FakeTensorMode():
        promised = [value.stride() for value in run()]
    assert [value.stride() for value in run()] == promised


def test_the_half_precision_operator_passes_opcheck(cpu_kernel):
    (x, weight, rate, bias), _ = make('plain')
    torch.library.opcheck(
        FORWARD, (x.bfloat16().requires_grad_(), weight.bfloat16(), rate,
                  bias.bfloat16(), [1, 1], [1, 1], [1, 1], 1, 'auto'))


class Layer(torch.nn.Module):
    """A layer whose rates depend on its input, as in the paper."""

    def __init__(self, height=3):
        super().__init__()
        self.weight = torch.nn.Parameter(draw(6, 4, height, 3))
        self.bias = torch.nn.Parameter(draw(6, seed=1))

    def forward(self, x):
        rate = 1 + x.mean((2, 3))
        return adaptive_dilated_conv2d(x, self.weight, rate, self.bias, 2, 1)


@pytest.mark.parametrize(
    'backend, dynamic', [('reference', False), ('cpu', False), ('cpu', True)],
    indirect=['backend'])
def test_compiles_without_graph_break(backend, dynamic):
    # The reference is traced tap by tap: three are enough.
    layer = Layer(height=3 if backend == 'cpu' else 1)
    compiled = torch.compile(
        layer, fullgraph=True, backend='aot_eager', dynamic=dynamic)
    for shape in ((2, 4, 7, 6), (3, 4, 8, 9)):
        x = draw(*shape).requires_grad_()
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
        layer, (draw(2, 4, 7, 6), ), dynamic_shapes=({0: batch}, ))
    x = draw(5, 4, 7, 6, seed=1)
    torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.skipif(
    not hasattr(torch.export.Dim, 'AUTO'), reason='needs torch 2.6')
def test_onnxruntime_runs_the_exported_graph(tmp_path):
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    layer, path = Layer().eval(), tmp_path / 'layer.onnx'
    torch.onnx.export(
        layer, (draw(2, 4, 7, 6), ),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim('batch', min=1, max=64)}, ))
    session = runtime.InferenceSession(
        path, providers=['CPUExecutionProvider'])
    for batch in (1, 4):
        x = draw(batch, 4, 7, 6, seed=1)
        got, = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(
            torch.from_numpy(got), layer(x).detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize('shape', [(1, 1), (1, 1, 1, 2048)])
def test_rates_stay_float32_under_autocast(backend, shape):
    x = torch.arange(2048.).view(1, 1, 1, 2048).requires_grad_()
    weight = torch.zeros(1, 1, 1, 3)
    weight[..., 2] = 1
    # bfloat16 knows no 1000.5, and would read elsewhere.
    rate = torch.full(shape, 1000.5, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = adaptive_dilated_conv2d(x, weight.requires_grad_(), rate, None,
                                      1, (0, 1))
    assert out.dtype == torch.bfloat16
    # Pixels 1000 and 1001 round to 1000 in bfloat16, 2047 to 2048.
    assert out[0, 0, 0, 0].item() == 1000.
    assert out[0, 0, 0, 1046].item() == 2048.
    out.float().sum().backward()
    assert rate.grad.dtype == x.grad.dtype == torch.float32


def test_autocast_rounds_its_inputs_and_nothing_between(backend):
    (x, weight, rate, bias), sizes = make('plain')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = adaptive_dilated_conv2d(x, weight, rate, bias, *sizes)
    rounded = [t.bfloat16() for t in (x, weight, bias)]
    expected = adaptive_dilated_conv2d(*rounded[:2], rate, rounded[2], *sizes)
    assert torch.equal(out, expected)


def test_float64_is_left_alone_by_autocast(backend):
    tensors, sizes = make('plain', torch.float64)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = adaptive_dilated_conv2d(*tensors, *sizes)
    assert out.dtype == torch.float64
    assert torch.equal(out, adaptive_dilated_conv2d(*tensors, *sizes))


def test_a_graph_traced_elsewhere_runs_forward_without_a_kernel():
    (x, weight, rate, bias), _ = make('plain')
    out = FORWARD(x.requires_grad_(), weight, rate, bias, [1, 1], [1, 1],
                  [1, 1], 1, 'reference')
    with use_backend('reference'):
        expected = adaptive_dilated_conv2d(x, weight, rate, bias, 1, 1)
    assert torch.equal(out, expected)
    with pytest.raises(RuntimeError, match='traced where a kernel was'):
        out.sum().backward()


# ---- Wrong arguments

GOOD = dict(
    x=torch.zeros(2, 4, 5, 6),
    weight=torch.zeros(6, 4, 3, 3),
    rate=torch.ones(2, 2))


@pytest.mark.parametrize('wrong, message', [
    (dict(x=torch.zeros(4, 5, 6)), r'x must .* H, W\), got \(4, 5, 6\)'),
    (dict(weight=torch.zeros(6, 4, 3)), r'weight .*, got \(6, 4, 3\)'),
    (dict(weight=torch.zeros(6, 3, 3, 3)), r'C / groups = 4, got \(6, 3'),
    (dict(weight=torch.zeros(6, 4, 2, 3)), r'odd sizes, got \(2, 3\)'),
    (dict(groups=3), 'groups must divide C = 4 and C_out = 6, got 3'),
    (dict(groups=0), 'groups must divide .*, got 0'),
    (dict(rate=torch.ones(2, 3)), r'N = 2 and g dividing C = 4, got \(2, 3'),
    (dict(rate=torch.ones(1, 2)), r'rate .* N = 2 .*, got \(1, 2\)'),
    (dict(rate=torch.ones(2, 0)), r'rate .*, got \(2, 0\)'),
    (dict(rate=torch.ones(2)), r'rate must .* \(N, g\) .*, got \(2,\)'),
    (dict(bias=torch.zeros(4)), r'bias .* \(C_out,\) = \(6,\), got \(4,\)'),
    (dict(stride=0), 'stride .* at least 1, got 0'),
    (dict(stride=(1, 2, 3)), r'stride .*, got \(1, 2, 3\)'),
    (dict(dilation=1.5), r'dilation .* integers of at least 1, got 1\.5'),
    (dict(padding=-1), 'padding .* at least 0, got -1'),
    (dict(padding='full'), "padding .* 'valid' or 'same', got 'full'"),
    (dict(padding='same', stride=2), r"stride must be 1 .*, got \[2"),
    (dict(dilation=3), '7 pixels along axis 2, got 5 and 0'),
    (dict(x=torch.zeros(2, 4, 5, 6).int()), 'floating dtype, got torch.int3'),
    (dict(weight=torch.zeros(6, 4, 3, 3).half()),
     r'weight .* the dtype of x \(torch.float32\), got torch.float16'),
    (dict(bias=torch.zeros(6).double()), 'bias must .* dtype of x .*float64'),
    (dict(rate=torch.ones(2, 2).double()), 'rate must .*float32 or .*64'),
    (dict(rate=torch.ones(2, 2, device='meta')),
     r'rate must be on the device of x \(cpu\), got meta'),
])
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        adaptive_dilated_conv2d(**{**GOOD, **wrong})


@pytest.mark.parametrize('name', ['x', 'weight', 'rate', 'bias'])
def test_no_tensor_is_a_type_error(name):
    with pytest.raises(TypeError, match=f'{name} must be a tensor, got l'):
        adaptive_dilated_conv2d(**{**GOOD, name: [1.0]})
