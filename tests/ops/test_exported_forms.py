"""The forms of the operators that exported graphs hold."""
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from mmdense.ops import adaptive_dilated_conv2d, channel_shift
from mmdense.ops.adaptive_dilated_conv2d import exported as adc
from mmdense.ops.adaptive_dilated_conv2d import reference as adc_reference
from mmdense.ops.backend import use_exported_forms
from mmdense.ops.channel_shift import exported as shift
from mmdense.ops.channel_shift import reference as shift_reference

# C, H, W, C_out, kernel, stride, padding, dilation, groups, g
CASES = {
    'plain': (4, 7, 6, 6, (3, 3), (1, 1), (1, 1), (1, 1), 1, 4),
    'strided': (4, 7, 9, 6, (3, 5), (2, 1), (0, 2), (1, 2), 2, 2),
    'depthwise': (8, 11, 6, 8, (1, 3), (1, 3), (3, 1), (2, 1), 8, 1),
    'shared': (6, 5, 8, 4, (5, 3), (2, 2), (4, 2), (2, 2), 2, 3),
    'pointwise': (4, 9, 9, 4, (1, 1), (1, 1), (0, 0), (1, 1), 1, 2),
}


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Layers(nn.Module):
    """Three cases on one input, and a shift, so that one export does."""

    names = ('strided', 'depthwise', 'shared')

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterDict({
            name: draw(CASES[name][3], CASES[name][0] // CASES[name][8],
                       *CASES[name][4])
            for name in self.names
        })

    def forward(self, x: Tensor, rate: Tensor) -> tuple[Tensor, ...]:
        out = [channel_shift(x, rate.unflatten(1, (8, 2)))]
        for name, weight in self.weights.items():
            channels, _, _, _, _, *sizes, g = CASES[name]
            out.append(
                adaptive_dilated_conv2d(x[:, :channels], weight, rate[:, :g],
                                        None, *sizes))
        return tuple(out)


def rates(scale: float, *shape: int) -> Tensor:
    return draw(*shape, seed=1) * scale


@pytest.mark.parametrize('scale', [1, 3, 40, 1e30])
@pytest.mark.parametrize('case', CASES.values(), ids=CASES)
def test_equals_the_reference(case, scale, tolerance):
    channels, height, width, out, kernel, *sizes, groups, g = case
    arguments = (draw(3, channels, height, width),
                 draw(out, channels // groups, *kernel), rates(scale, 3, g),
                 draw(out), *sizes, groups)
    torch.testing.assert_close(
        adc.adaptive_dilated_conv2d(*arguments),
        adc_reference.adaptive_dilated_conv2d(*arguments),
        **tolerance(torch.float32))
    offset = rates(scale, 3, channels, 2)
    torch.testing.assert_close(
        shift.channel_shift(arguments[0], offset),
        shift_reference.channel_shift(arguments[0], offset),
        **tolerance(torch.float32))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_computes_in_the_dtype_of_the_rates(dtype, tolerance):
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    x, weight = draw(2, 4, 7, 6).to(dtype), draw(6, 4, 3, 3).to(dtype)
    rate = rates(2, 2, 4).to(wide)
    sizes = ([1, 1], [1, 1], [1, 1], 1)
    got = adc.adaptive_dilated_conv2d(x, weight, rate, None, *sizes)
    assert got.dtype == dtype
    torch.testing.assert_close(
        got, adc_reference.adaptive_dilated_conv2d(x, weight, rate, None,
                                                   *sizes),
        **tolerance(dtype))
    offset = rates(2, 2, 4, 2).to(wide)
    got = shift.channel_shift(x, offset)
    assert got.dtype == dtype
    torch.testing.assert_close(
        got, shift_reference.channel_shift(x, offset), **tolerance(dtype))


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_what_is_not_finite_makes_nan_of_its_own_sample(bad):
    x, weight, rate = draw(2, 4, 7, 6), draw(6, 4, 3, 3), rates(2, 2, 4)
    rate[1, 2] = bad
    got = adc.adaptive_dilated_conv2d(x, weight, rate, None, [1, 1], [1, 1],
                                      [1, 1], 1)
    assert got[0].isfinite().all() and got[1].isnan().all()
    offset = rates(2, 2, 4, 2)
    offset[1, 2, 0] = bad
    got = shift.channel_shift(x, offset).isnan()
    assert got[1, 2].all() and got.sum() == 7 * 6


def test_a_graph_for_other_runtimes_is_traced_from_the_form(monkeypatch):
    called = []
    for module, name in ((adc, 'adaptive_dilated_conv2d'),
                         (shift, 'channel_shift')):
        monkeypatch.setattr(module, name, lambda *_, name=name: called.append(
            name))
    arguments = draw(2, 4, 7, 6), draw(6, 4, 3, 3), rates(1, 2, 4)
    with use_exported_forms():
        adaptive_dilated_conv2d(*arguments)
        channel_shift(arguments[0], rates(1, 4, 2))
    assert called == ['adaptive_dilated_conv2d', 'channel_shift']
    adaptive_dilated_conv2d(*arguments)
    channel_shift(arguments[0], rates(1, 4, 2))
    assert len(called) == 2


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """Return an ONNX file of three cases and a shift, of any batch."""
    pytest.importorskip('onnxscript')
    if not hasattr(torch.export.Dim, 'AUTO'):
        pytest.skip('needs torch 2.6')
    path = tmp_path_factory.mktemp('forms') / 'layers.onnx'
    free = torch.export.Dim('batch', min=1, max=64)
    torch.onnx.export(
        Layers().eval(), (draw(2, 8, 11, 9), rates(2, 2, 16)),
        path,
        dynamo=True,
        input_names=['x', 'rate'],
        dynamic_shapes=({0: free}, {0: free}),
        verbose=False)
    return path


# Batch, and factor of the rates above 1. Far ones read zeros, the last NaN.
INPUTS = [(1, 1.), (3, 40.), (2, 1e30), (2, float('inf'))]


def wanted(batch, scale):
    x, rate = draw(batch, 8, 11, 9, seed=2), rates(1, batch, 16)
    rate = torch.where(rate > 1, rate * scale, rate)
    with torch.no_grad():
        return x, rate, Layers()(x, rate)


@pytest.mark.parametrize('sizes', INPUTS)
def test_onnxruntime_gives_what_pytorch_gives(graph, sizes, tolerance):
    runtime = pytest.importorskip('onnxruntime')
    session = runtime.InferenceSession(
        graph, providers=['CPUExecutionProvider'])
    x, rate, outputs = wanted(*sizes)
    got = session.run(None, dict(x=x.numpy(), rate=rate.numpy()))
    for one, other in zip(got, outputs, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(one),
            other,
            equal_nan=True,
            **tolerance(torch.float32))


def test_the_operators_are_few_and_standard(graph):
    onnx = pytest.importorskip('onnx')
    nodes = onnx.load(graph).graph.node
    assert {node.domain for node in nodes} <= {''}
    counted = Counter(node.op_type for node in nodes)
    assert counted['MatMul'] == 2 * (1 + len(Layers.names))
    assert counted['Conv'] == len(Layers.names)
    # 76 with torch 2.14; the reference takes as many for one layer.
    assert len(nodes) <= 100, counted


@pytest.mark.slow
@pytest.mark.parametrize('sizes', INPUTS[:3])
def test_openvino_gives_what_pytorch_gives(graph, sizes, tolerance):
    openvino = pytest.importorskip('openvino')
    model = openvino.Core().compile_model(
        str(graph), 'CPU', dict(INFERENCE_PRECISION_HINT='f32'))
    x, rate, outputs = wanted(*sizes)
    got = model(dict(x=x.numpy(), rate=rate.numpy()))
    for one, other in zip(got.values(), outputs, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(one), other, **tolerance(torch.float32))
