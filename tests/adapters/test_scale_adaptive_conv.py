"""Scale-adaptive convolution: a rate per pixel, shared by all channels."""
import pytest
import torch
from torch import nn

pytest.importorskip('mmengine')

from mmdense.adapters.scale_adaptive_conv import (  # noqa: E402
    ScaleAdaptiveConv2d,
)

pytestmark = pytest.mark.usefixtures('backend')


def inputs():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 9, 7, generator=generator)


@pytest.mark.parametrize('setting', [
    dict(kernel_size=3, padding=1),
    dict(kernel_size=3, padding=2, dilation=2, stride=2, bias=False),
    dict(kernel_size=(3, 5), padding=(1, 2), groups=2),
])
def test_it_is_the_convolution_until_it_has_learned(setting):
    plain = nn.Conv2d(4, 6, **setting)
    layer = ScaleAdaptiveConv2d(4, 6, **setting)
    missing, unexpected = layer.load_state_dict(
        plain.state_dict(), strict=False)
    assert unexpected == []
    assert missing == ['rate_regression.weight', 'rate_regression.offset']
    torch.testing.assert_close(layer(inputs()), plain(inputs()))


def test_a_constant_rate_is_a_dilation():
    layer = ScaleAdaptiveConv2d(4, 4, 3, padding=1)
    nn.init.ones_(layer.rate_regression.offset)
    expected = nn.functional.conv2d(
        inputs(), layer.weight, layer.bias, padding=2, dilation=2)
    torch.testing.assert_close(layer(inputs()), expected)


def test_each_pixel_has_its_own_rate():
    layer = ScaleAdaptiveConv2d(1, 1, (1, 3), padding=(0, 1), bias=False)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        # The rate of a pixel is 1 + its own value / 100.
        layer.rate_regression.weight[0, 0, 0, 1] = 0.01
    x = torch.arange(5.).mul(100).reshape(1, 1, 1, 5)
    # Column 2 (rate 3) reads columns -1, 2, 5; column 1 (rate 2) -1, 1, 3.
    out = layer(x)[0, 0, 0]
    torch.testing.assert_close(out[1:3], torch.tensor([400., 200.]))


@pytest.mark.parametrize('setting', [
    dict(kernel_size=3, padding=1),
    dict(kernel_size=3, padding=2, dilation=2, stride=2, groups=2),
    dict(kernel_size=(1, 5), padding=(0, 3), stride=(2, 1), bias=False),
])
def test_it_is_the_deformable_convolution_of_its_rates(setting):
    library = pytest.importorskip('torchvision.ops')
    layer = ScaleAdaptiveConv2d(4, 6, **setting).double()
    x = inputs().double().requires_grad_()
    with torch.no_grad():
        layer.rate_regression.weight.normal_(0, 0.1)

    def offset(rate):
        taps = torch.stack(torch.meshgrid(*(
            (torch.arange(k) - k // 2) * d
            for k, d in zip(layer.kernel_size, layer.dilation, strict=True)),
            indexing='ij'), -1)
        return (rate - 1) * taps.reshape(1, -1, 1, 1)

    results = []
    for out in (layer(x), library.deform_conv2d(
            x, offset(layer.rate_regression(x)), layer.weight, layer.bias,
            layer.stride, layer.padding, layer.dilation)):
        inner = [x, *layer.parameters()]
        results.append((out, *torch.autograd.grad(out.square().sum(), inner)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_rates_stay_float32_under_autocast():
    layer = ScaleAdaptiveConv2d(4, 4, 3, padding=1)
    nn.init.constant_(layer.rate_regression.offset, 0.3)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer.rate_regression(inputs()).eq(1.3).all()
        assert layer(inputs()).dtype == torch.bfloat16


def test_an_empty_batch_gives_an_empty_map():
    layer = ScaleAdaptiveConv2d(4, 6, 3, stride=2)
    assert layer(inputs()[:0]).shape == (0, 6, 4, 3)


def test_a_map_smaller_than_the_kernel_is_refused():
    layer = ScaleAdaptiveConv2d(4, 4, 3)
    with pytest.raises(ValueError, match='x with its padding must cover'):
        layer(inputs()[:, :, :2])


def test_the_rates_learn():
    layer = ScaleAdaptiveConv2d(4, 4, 3, padding=1)
    layer(inputs()).square().sum().backward()
    assert layer.rate_regression.weight.grad.abs().sum() > 0


def test_an_older_checkpoint_loads():
    """It holds a bias, 1 at first, where there is an offset from 1 now."""
    layer = ScaleAdaptiveConv2d(4, 4, 3, padding=1)
    older = layer.state_dict()
    del older['rate_regression.offset']
    older['rate_regression.bias'] = torch.tensor([1.75])
    layer.load_state_dict(older)
    assert layer.rate_regression(inputs()).eq(1.75).all()


def test_weight_decay_pulls_the_rates_to_the_convolutions():
    layer = ScaleAdaptiveConv2d(4, 4, 3, padding=1)
    nn.init.ones_(layer.rate_regression.offset)
    optimizer = torch.optim.SGD(layer.parameters(), 1, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert layer.rate_regression(inputs()).eq(1.5).all()


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match='kernel_size must be odd, got'):
        ScaleAdaptiveConv2d(4, 4, 2)
