"""The module: a convolution at first, its rates regressed from the input."""
import pytest
import torch
from torch import nn

from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.ops import adaptive_dilated_conv2d

SETTINGS = [
    dict(kernel_size=3, padding=1),
    dict(kernel_size=3, padding=1, stride=2),
    dict(kernel_size=3, padding=2, dilation=2, bias=False),
    dict(kernel_size=(3, 5), padding=(1, 2), groups=4),
    dict(kernel_size=1),
]


def inputs(channels=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, 9, 7, generator=generator)


@pytest.mark.parametrize('setting', SETTINGS)
def test_it_is_the_convolution_until_it_has_learned(setting):
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 12, **setting)
    layer = AdaptiveDilatedConv2d(8, 12, **setting)
    missing, unexpected = layer.load_state_dict(
        plain.state_dict(), strict=False)
    assert unexpected == []
    assert missing == [
        'rate_regression.fc1.weight', 'rate_regression.fc1.bias',
        'rate_regression.fc2.weight', 'rate_regression.fc2.offset'
    ]
    torch.testing.assert_close(layer(inputs()), plain(inputs()))


def test_rates_follow_the_input_once_the_last_layer_has_weights():
    layer = AdaptiveDilatedConv2d(8, 8, 3, padding=1, groups_of_rates=2)
    with torch.no_grad():
        # One hidden unit carries the mean of channel 0.
        layer.rate_regression.fc1.weight.zero_()[0, 0] = 1
        layer.rate_regression.fc1.bias.zero_()
        layer.rate_regression.fc2.weight[:, 0] = torch.tensor([1., 2.])
    x = torch.zeros(2, 8, 4, 4)
    x[1, 0] = 0.5
    rate = layer.rate_regression(x)
    torch.testing.assert_close(rate, torch.tensor([[1., 1.], [1.5, 2.]]))
    torch.testing.assert_close(
        layer(x),
        adaptive_dilated_conv2d(
            x, layer.weight, rate, layer.bias, padding=1))


def test_the_regression_learns():
    layer = AdaptiveDilatedConv2d(8, 8, 3, padding=1)
    layer(inputs()).square().sum().backward()
    assert layer.rate_regression.fc2.weight.grad.abs().sum() > 0
    assert layer.weight.grad.abs().sum() > 0


def test_a_hook_reads_the_rates_of_a_forward():
    layer, seen = AdaptiveDilatedConv2d(8, 8, 3, groups_of_rates=4), []
    layer.rate_regression.register_forward_hook(
        lambda module, args, rate: seen.append(rate))
    layer(inputs())
    torch.testing.assert_close(seen, [torch.ones(2, 4)])


def test_it_takes_no_random_number_from_the_rest_of_the_network():
    torch.manual_seed(0)
    plain, next_plain = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
    torch.manual_seed(0)
    first, second = (AdaptiveDilatedConv2d(8, 8, 3) for _ in range(2))
    assert torch.equal(first.weight, plain.weight)
    assert torch.equal(second.weight, next_plain.weight)
    hidden = [layer.rate_regression.fc1.weight for layer in (first, second)]
    assert not torch.equal(*hidden)


def test_the_hidden_layer_starts_as_an_nn_linear():
    hidden = AdaptiveDilatedConv2d(256, 8, 3, hidden_ratio=1)\
        .rate_regression.fc1
    for mine, theirs in zip(hidden.parameters(),
                            nn.Linear(256, 256).parameters(), strict=True):
        assert mine.shape == theirs.shape
        assert mine.abs().max() <= 1 / 16
        assert mine.std().item() == pytest.approx(1 / 16 / 3**0.5, rel=0.1)
        assert mine.mean().item() == pytest.approx(0, abs=0.01)


def test_weight_decay_pulls_the_rates_to_the_convolutions():
    layer = AdaptiveDilatedConv2d(8, 8, 3, padding=1)
    nn.init.ones_(layer.rate_regression.fc2.offset)
    optimizer = torch.optim.AdamW(layer.parameters(), 1, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    assert layer.rate_regression(inputs()).eq(2).all()
    optimizer.step()
    assert layer.rate_regression(inputs()).eq(1.5).all()


def test_an_older_checkpoint_loads():
    """It holds a bias, 1 at first, where there is an offset from 1 now."""
    layer = AdaptiveDilatedConv2d(8, 8, 3, padding=1)
    older = layer.state_dict()
    older.pop('rate_regression.fc2.offset')
    bias = torch.linspace(0, 3, 8)
    older['rate_regression.fc2.bias'] = bias
    layer.load_state_dict(older)
    torch.testing.assert_close(layer.rate_regression(inputs()),
                               bias.expand(2, 8), rtol=0, atol=1e-7)
    assert 'rate_regression.fc2.bias' in older


def test_bounds_hold():
    layer = AdaptiveDilatedConv2d(8, 8, 3, rate_bounds=(0.5, 2))
    with torch.no_grad():
        layer.rate_regression.fc2.offset.fill_(9)
    assert layer.rate_regression(inputs()).eq(2).all()


def test_static_rates_are_learned_and_the_same_for_every_input():
    layer = AdaptiveDilatedConv2d(8, 8, 3, padding=1, regress=False)
    plain = nn.Conv2d(8, 8, 3, padding=1)
    missing, _ = layer.load_state_dict(plain.state_dict(), strict=False)
    assert missing == ['rate_regression.offset']
    torch.testing.assert_close(layer(inputs()), plain(inputs()))
    layer(inputs()).square().sum().backward()
    assert layer.rate_regression.offset.grad.abs().min() > 0
    with torch.no_grad():
        layer.rate_regression.offset.copy_(torch.linspace(-1.5, 2, 8))
    expected = torch.linspace(-0.5, 3, 8).clamp(min=0).expand(2, 8)
    torch.testing.assert_close(layer.rate_regression(inputs()), expected)
    torch.testing.assert_close(
        layer(inputs()), adaptive_dilated_conv2d(
            inputs(), layer.weight, expected, layer.bias, padding=1))


@pytest.mark.parametrize('slope, alive', [(0., False), (0.1, True)])
def test_a_leaky_hidden_unit_cannot_die(slope, alive):
    regression = AdaptiveDilatedConv2d(
        8, 8, 3, negative_slope=slope).rate_regression
    with torch.no_grad():
        regression.fc1.bias.fill_(-99)  # off for every image
        regression.fc2.weight.fill_(0.01)
    rates = regression(inputs())
    rates.sum().backward()
    assert (regression.fc1.weight.grad.abs().sum() > 0) == alive
    hidden = regression.fc1(inputs().mean((2, 3)))
    expected = 1 + 0.01 * torch.where(hidden > 0, hidden, slope * hidden)
    torch.testing.assert_close(rates, expected.expand(2, 8))


@pytest.mark.parametrize('ratio, hidden', [(1 / 16, 4), (1 / 4, 16), (1, 64)])
def test_the_hidden_width_is_a_share_of_the_channels(ratio, hidden):
    layer = AdaptiveDilatedConv2d(64, 64, 3, hidden_ratio=ratio)
    assert layer.rate_regression.fc1.out_features == hidden


def test_rates_stay_float32_under_autocast():
    layer = AdaptiveDilatedConv2d(8, 8, 3, padding=1)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer.rate_regression(inputs()).dtype == torch.float32
        assert layer(inputs()).dtype == torch.bfloat16


@pytest.mark.parametrize('change, message', [
    (dict(kernel_size=4), 'kernel_size must be odd, got'),
    (dict(kernel_size=3, groups_of_rates=3),
     'must divide in_channels = 8, got 3'),
    (dict(kernel_size=3, groups_of_rates=0), 'got 0'),
    (dict(kernel_size=3, padding_mode='reflect'),
     "padding_mode must be 'zeros', got 'reflect'"),
    (dict(kernel_size=3, padding='same'), "padding must be .* got 'same'"),
    (dict(kernel_size='a'), "kernel_size must be .* got 'a'"),
    (dict(kernel_size=3, hidden_ratio=0), 'hidden_ratio must be a positive'),
    (dict(kernel_size=3, rate_bounds=(2, 3)), 'rate_bounds must'),
    (dict(kernel_size=3, negative_slope=2), 'negative_slope must be from 0'),
])
def test_a_setting_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveDilatedConv2d(8, 8, **change)


def test_the_regression_exports(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    regression = AdaptiveDilatedConv2d(8, 8, 3).rate_regression.eval()
    for parameter in regression.fc2.parameters():
        nn.init.normal_(parameter, std=0.3)
    path = str(tmp_path / 'rates.onnx')
    torch.onnx.export(
        regression, (inputs(), ), path, input_names=['x'], dynamo=True)
    rates, = onnxruntime.InferenceSession(path).run(
        None, dict(x=inputs().numpy()))
    torch.testing.assert_close(torch.from_numpy(rates), regression(inputs()))
