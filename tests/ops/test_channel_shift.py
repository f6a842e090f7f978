"""``channel_shift``: conventions, backends, registration, errors."""
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmdense.ops import channel_shift, use_backend

FORWARD = torch.ops.mmdense.channel_shift.default
BACKWARD = torch.ops.mmdense.channel_shift_backward.default


def draw(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def gradients(x, offset):
    x = x.detach().requires_grad_()
    offset = offset.detach().requires_grad_()
    out = channel_shift(x, offset)
    # Weights that no symmetry of the shift can hide behind.
    weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype)
    (out * weights.view(out.shape)).sum().backward()
    return out.detach(), x.grad, offset.grad


# ---- The convention


def test_a_shift_of_one_row_reads_the_next_row(backend):
    x = draw(1, 1, 4, 5)
    out = channel_shift(x, torch.tensor([[1., 0.]]))
    assert torch.equal(out[..., :3, :], x[..., 1:, :])
    assert torch.equal(out[..., 3, :], torch.zeros(1, 1, 5))


def test_rows_come_before_columns(backend):
    ramp = torch.arange(12.).view(1, 1, 3, 4)
    out = channel_shift(ramp, torch.tensor([[0.5, 0.25]]))
    # Half a row is 2, a quarter column 0.25; the last row and column fade
    # into the zeros outside.
    expected = torch.tensor([[2.25, 3.25, 4.25, 0.75 * 5],
                             [6.25, 7.25, 8.25, 0.75 * 9],
                             [4.125, 4.625, 5.125, 0.375 * 11]])
    torch.testing.assert_close(out[0, 0], expected)


def test_a_map_fades_in_over_the_pixel_before_it(backend):
    x = torch.ones(1, 1, 3, 3)
    out = channel_shift(x, torch.tensor([[-0.25, 0.]]))
    assert torch.equal(out[0, 0, :, 0], torch.tensor([0.75, 1., 1.]))
    out = channel_shift(x, torch.tensor([[0., -2.75]]))
    assert torch.equal(out[0, 0, 0], torch.tensor([0., 0., 0.25]))


@pytest.mark.parametrize('dy, dx', [(0, 0), (2, -3), (-1, 4), (-5, 0),
                                    (4, 6), (0, -7)])
def test_whole_offsets_are_a_zero_filled_roll_exactly(backend, dy, dx):
    x = draw(2, 3, 5, 7)
    expected = torch.zeros_like(x)
    for i in range(5):
        for j in range(7):
            if 0 <= i + dy < 5 and 0 <= j + dx < 7:
                expected[..., i, j] = x[..., i + dy, j + dx]
    offset = torch.tensor([dy, dx], dtype=torch.float32).expand(3, 2)
    assert torch.equal(channel_shift(x, offset), expected)


@pytest.mark.parametrize('at', [-1., 0., 1., 2., 3.])
@pytest.mark.parametrize('axis', [0, 1])
def test_the_derivative_at_whole_pixels_is_the_right_one(backend, at, axis):
    x = draw(1, 1, 3, 3, dtype=torch.float64)
    offset = torch.zeros(1, 2, dtype=torch.float64)
    offset[0, axis] = at
    _, _, slope = gradients(x, offset)
    # Linear up to the next pixel, so a difference over half of it is exact.
    step = torch.zeros(1, 2, dtype=torch.float64)
    step[0, axis] = 0.5
    weights = torch.linspace(-1, 2, 9, dtype=torch.float64).view(1, 1, 3, 3)
    rise = channel_shift(x, offset + step) - channel_shift(x, offset)
    torch.testing.assert_close(slope[0, axis], (rise * weights).sum() / 0.5)


def test_one_offset_for_all_samples_is_the_same_offset_for_each(backend):
    x, offset = draw(3, 4, 5, 6), draw(4, 2, seed=1)
    out, grad_x, grad_offset = gradients(x, offset)
    each = gradients(x, offset.expand(3, 4, 2))
    assert torch.equal(out, each[0])
    assert torch.equal(grad_x, each[1])
    torch.testing.assert_close(grad_offset, each[2].sum(0))


def test_reading_back_is_the_adjoint(backend):
    x, y = draw(2, 3, 6, 5), draw(2, 3, 6, 5, seed=1)
    offset = 3 * draw(2, 3, 2, seed=2)
    there = (channel_shift(x, offset) * y).sum()
    back = (x * channel_shift(y, -offset)).sum()
    torch.testing.assert_close(there, back)


def test_gradcheck_a_quarter_off_the_pixels(backend):
    x = draw(2, 4, 3, 5, dtype=torch.float64).requires_grad_()
    offset = torch.tensor([[0.25, -1.25], [2.75, 0.25], [-2.25, 3.25],
                           [-0.75, 7.25]], dtype=torch.float64)
    assert torch.autograd.gradcheck(channel_shift,
                                    (x, offset.requires_grad_()))


# ---- Not finite, far away, empty


@pytest.mark.parametrize('bad', [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize('axis', [0, 1])
def test_a_bad_offset_spoils_its_channel_and_no_other(backend, bad, axis):
    x, offset = draw(2, 3, 4, 5), draw(2, 3, 2, seed=1)
    good, _, good_slope = gradients(x, offset)
    offset[1, 2, axis] = bad
    offset[1, 2, 1 - axis] = 1e9
    out, _, slope = gradients(x, offset)
    assert out[1, 2].isnan().all()
    spared = torch.ones(2, 3, dtype=torch.bool)
    spared[1, 2] = False
    assert torch.equal(out[spared], good[spared])
    torch.testing.assert_close(slope[spared], good_slope[spared])


@pytest.mark.parametrize('far', [1e9, -1e9, 3e38, -3e38, 2.**31, 2.**63])
def test_offsets_beyond_the_map_give_zeros(backend, far):
    x = draw(1, 2, 4, 5)
    offset = torch.tensor([[far, 0.5], [0.5, far]])
    for value in gradients(x, offset):
        assert torch.equal(value, torch.zeros_like(value))


@pytest.mark.parametrize('shape', [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5),
                                   (2, 3, 4, 0)])
def test_empty_input_gives_empty_output(backend, shape):
    x = torch.zeros(shape)
    out, grad_x, slope = gradients(x, torch.full((shape[1], 2), 0.5))
    assert out.shape == grad_x.shape == shape
    assert torch.equal(slope, torch.zeros(shape[1], 2))


# ---- The kernel against the reference


@pytest.mark.parametrize('dtype', [
    torch.float64, torch.float32, torch.float16, torch.bfloat16
])
@pytest.mark.parametrize('shape', [(2, 5, 7, 9), (1, 3, 1, 1), (2, 4, 1, 33),
                                   (1, 2, 40, 17)])
def test_the_kernel_equals_the_reference(cpu_kernel, tolerance, shape, dtype):
    x = draw(*shape, dtype=torch.float64).to(dtype)
    offset = 4 * draw(*shape[:2], 2, seed=1)
    if dtype == torch.float64:
        offset = offset.double()
    got = gradients(x, offset)
    with use_backend('reference'):
        wanted = gradients(x, offset)
    for a, b in zip(got, wanted, strict=True):
        # The offsets' gradient sums a whole map.
        scale = max(1.0, b.abs().max().item())
        torch.testing.assert_close(a / scale, b / scale, **tolerance(dtype))


@pytest.mark.parametrize('layout', [
    lambda x: x.to(memory_format=torch.channels_last),
    lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    lambda x: x.repeat(2, 1, 1, 1)[::2],
    lambda x: x[:, :, :, :1].expand(-1, -1, -1, 7),
], ids=['channels_last', 'transposed', 'every_other', 'expanded'])
def test_the_layout_of_the_input_does_not_matter(backend, layout):
    x, offset = layout(draw(2, 4, 5, 7)), draw(4, 2, seed=1)
    for a, b in zip(gradients(x, offset), gradients(x.contiguous(), offset),
                    strict=True):
        assert torch.equal(a, b)


def test_the_memory_format_is_kept(cpu_kernel):
    x = draw(2, 4, 5, 7).to(memory_format=torch.channels_last)
    out, grad_x, _ = gradients(x, draw(4, 2, seed=1))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert grad_x.is_contiguous(memory_format=torch.channels_last)


def test_two_runs_are_bit_equal(backend):
    x, offset = draw(4, 32, 24, 20), 3 * draw(32, 2, seed=1)
    for a, b in zip(gradients(x, offset), gradients(x, offset), strict=True):
        assert torch.equal(a, b)


# ---- A real operator


@pytest.mark.parametrize('layout', [
    torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (0, 3, 4, 5), (1, 1, 1, 1)])
def test_opcheck(cpu_kernel, shape, layout):
    x = draw(*shape).to(memory_format=layout).requires_grad_()
    offset = draw(*shape[:2], 2, seed=1).requires_grad_()
    torch.library.opcheck(FORWARD, (x, offset, 'auto'))
    grad = draw(*shape, seed=2)
    for needs in ((True, True), (False, True), (True, False)):
        torch.library.opcheck(
            BACKWARD, (grad, x.detach(), offset.detach(), *needs, 'auto'))


@pytest.mark.parametrize('layout', [
    torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('shape', [(2, 4, 3, 5), (2, 1, 3, 5), (2, 4, 1, 1),
                                   (1, 4, 3, 3)])
def test_fake_kernels_promise_the_strides_that_come(cpu_kernel, shape,
                                                    layout):
    # opcheck looks at shapes only.
    def run():
        x = torch.ones(shape).to(memory_format=layout)
        offset = torch.zeros(*shape[:2], 2)
        return [FORWARD(x, offset, 'auto'),
                *BACKWARD(x, x, offset, True, True, 'auto')]

    with FakeTensorMode():
        promised = [value.stride() for value in run()]
    assert [value.stride() for value in run()] == promised


def test_the_half_precision_operator_passes_opcheck(cpu_kernel):
    x = draw(2, 3, 4, 5).bfloat16().requires_grad_()
    torch.library.opcheck(FORWARD, (x, draw(2, 3, 2), 'auto'))


@pytest.mark.parametrize(
    'backend, dynamic', [('reference', False), ('cpu', False), ('cpu', True)],
    indirect=['backend'])
def test_compiles_without_graph_break(backend, dynamic):
    compiled = torch.compile(
        lambda x, o: channel_shift(x * 2, o).sin(),
        fullgraph=True,
        backend='aot_eager',
        dynamic=dynamic)
    for shape in ((2, 3, 4, 5), (3, 3, 6, 7)):
        x = draw(*shape).requires_grad_()
        offset = draw(3, 2, seed=1).requires_grad_()
        out = compiled(x, offset)
        plain = channel_shift(x * 2, offset).sin()
        torch.testing.assert_close(out, plain)
        for a, b in zip(
                torch.autograd.grad(out.sum(), (x, offset)),
                torch.autograd.grad(plain.sum(), (x, offset)),
                strict=True):
            torch.testing.assert_close(a, b)


class Shift(torch.nn.Module):

    def __init__(self):
        super().__init__()
        self.offset = torch.nn.Parameter(
            torch.tensor([[0.3, -1.6], [2., 0.], [-9., 0.5]]))

    def forward(self, x):
        return channel_shift(x, self.offset)


def test_exports_with_a_free_batch_size(backend):
    module = Shift()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(
        module, (draw(2, 3, 5, 7), ), dynamic_shapes=({0: batch}, ))
    x = draw(5, 3, 5, 7, seed=1)
    torch.testing.assert_close(program.module()(x), module(x))


@pytest.mark.skipif(
    not hasattr(torch.export.Dim, 'AUTO'), reason='needs torch 2.6')
def test_onnxruntime_runs_the_exported_graph(tmp_path):
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    module, path = Shift().eval(), tmp_path / 'shift.onnx'
    torch.onnx.export(
        module, (draw(2, 3, 5, 7), ),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim('batch', min=1, max=64)}, ))
    session = runtime.InferenceSession(
        path, providers=['CPUExecutionProvider'])
    for batch in (1, 4):
        x = draw(batch, 3, 5, 7, seed=1)
        got, = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(
            torch.from_numpy(got), module(x).detach(), rtol=0, atol=1e-4)


def test_offsets_stay_float32_under_autocast(backend):
    x = torch.arange(2048.).view(1, 1, 1, 2048)
    # bfloat16 knows no 1000.5, and would read elsewhere.
    offset = torch.tensor([[0., 1000.5]], requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = channel_shift(x, offset)
        half = channel_shift(x.bfloat16(), offset)
    assert out.dtype == torch.float32 and half.dtype == torch.bfloat16
    assert out[0, 0, 0, 0].item() == 1000.5
    assert half[0, 0, 0, 0].item() == 1000.0
    half.float().sum().backward()
    assert offset.grad.dtype == torch.float32


def test_a_graph_traced_elsewhere_runs_forward_without_a_kernel():
    x, offset = draw(2, 3, 4, 5).requires_grad_(), draw(2, 3, 2)
    out = FORWARD(x, offset, 'reference')
    with use_backend('reference'):
        assert torch.equal(out, channel_shift(x, offset))
    with pytest.raises(RuntimeError, match='traced where a kernel was'):
        out.sum().backward()


# ---- Wrong arguments


@pytest.mark.parametrize('x, offset, message', [
    (torch.zeros(3, 4, 5), torch.zeros(3, 2),
     r'x must have shape \(N, C, H, W\), got \(3, 4, 5\)'),
    (torch.zeros(2, 3, 4, 5), torch.zeros(4, 2),
     r'offset must have shape .* = \(3, 2\) or .* \(2, 3, 2\), got \(4, 2\)'),
    (torch.zeros(2, 3, 4, 5), torch.zeros(1, 3, 2), r'got \(1, 3, 2\)'),
    (torch.zeros(2, 3, 4, 5), torch.zeros(2, 3), r'got \(2, 3\)'),
    (torch.zeros(2, 3, 4, 5, dtype=torch.int32), torch.zeros(3, 2),
     'x must have a floating dtype, got torch.int32'),
    (torch.zeros(2, 3, 4, 5), torch.zeros(3, 2, dtype=torch.float64),
     r'offset must have torch.float32 or .*, got torch.float64'),
    (torch.zeros(2, 3, 4, 5), torch.zeros(3, 2, dtype=torch.int64),
     r'offset must have torch.float32 or .*, got torch.int64'),
    (torch.zeros(2, 3, 4, 5), torch.zeros(3, 2, device='meta'),
     r'offset must be on the device of x \(cpu\), got meta'),
])
def test_wrong_tensors_are_named(x, offset, message):
    with pytest.raises(ValueError, match=message):
        channel_shift(x, offset)


def test_no_tensor_is_a_type_error():
    with pytest.raises(TypeError, match='offset must be a tensor, got li'):
        channel_shift(torch.zeros(1, 1, 2, 2), [[0., 0.]])
