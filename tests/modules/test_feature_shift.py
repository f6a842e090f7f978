"""The feature shifting module computes Equations 1 to 6."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdense.modules.feature_shift import (
    ChannelShift,
    CorrelationAttention,
    FeatureShiftModule,
)


def rand(*shape, seed=0):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed)).double()


def test_a_positive_offset_moves_the_picture_down_and_right():
    shift = ChannelShift(1)
    shift.offset.data = torch.tensor([[1., 2.]])
    x = torch.arange(12.).reshape(1, 1, 3, 4)
    expected = torch.tensor([[0., 0, 0, 0], [0, 0, 0, 1], [0, 0, 4, 5]])
    torch.testing.assert_close(shift(x)[0, 0], expected)


def test_attention_sums_to_one_over_the_map():
    attention = CorrelationAttention(3, 5, 'softplus').double()
    x = rand(2, 3, 4, 6)
    out = attention(x)
    f = F.softplus(F.conv2d(x, attention.conv.weight))
    torch.testing.assert_close(out, f / f.sum((2, 3), keepdim=True))
    torch.testing.assert_close(
        out.sum((2, 3)), torch.ones(2, 5, dtype=torch.double))


def test_sigmoid_attention_is_not_normalised():
    attention = CorrelationAttention(3, 5, 'sigmoid').double()
    x = rand(1, 3, 4, 6)
    torch.testing.assert_close(
        attention(x), F.conv2d(x, attention.conv.weight).sigmoid())


@pytest.mark.parametrize('attention', ['softplus', 'sigmoid', None])
@pytest.mark.parametrize('shifting', [True, False])
def test_module_is_the_sum_over_its_windows(attention, shifting):
    """Equation 4, position by position, at whole-pixel offsets."""
    module = FeatureShiftModule(3, 4, attention, shifting).double().eval()
    offset = torch.tensor([[0, 0], [1, -2], [-1, 0], [0, 3]])
    if shifting:
        module.shift.offset.data = offset.double()
    else:
        offset = torch.zeros(4, 2, dtype=torch.long)
    scale = rand(4, seed=3).abs()
    module.gate_norm.running_var.copy_(1 / scale**2)
    p = rand(1, 3, 4, 5, seed=1)
    alpha, beta = module.alpha.weight[..., 0, 0], module.beta.weight[..., 0, 0]
    gate = torch.ones(4, 4, 5) if attention is None else module.attention(p)[0]
    expected = torch.zeros_like(p[0])
    for y in range(4):
        for x in range(5):
            total = p[0, :, y, x].clone()
            for k, (dy, dx) in enumerate(offset.tolist()):
                if 0 <= y - dy < 4 and 0 <= x - dx < 5:
                    r = alpha[k] @ p[0, :, y - dy, x - dx]
                    total += beta[:, k] * scale[k] * gate[k, y, x] * r
            expected[:, y, x] = total
    eps = module.norm.eps
    torch.testing.assert_close(
        module(p)[0], (expected / (1 + eps)**0.5).relu())


def test_training_reaches_every_parameter():
    module = FeatureShiftModule(3, 4).double()
    module(rand(2, 3, 5, 6)).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_the_gates_norm_is_not_drowned_in_its_epsilon():
    """Attention of a full-size map leaves numbers of about 1 / 3072."""
    module = FeatureShiftModule(4, 8)
    seen = []
    module.gate_norm.register_forward_hook(lambda *a: seen.append(a[-1]))
    module(torch.randn(2, 4, 64, 48))
    assert (seen[0].std((0, 2, 3)) - 1).abs().max() < 0.05


def test_parameters_are_those_the_paper_counts():
    """3KC + 2K, and two norms."""
    module = FeatureShiftModule(16, 8)
    count = sum(p.numel() for p in module.parameters())
    assert count == 3 * 8 * 16 + 2 * 8 + 2 * 8 + 2 * 16


def test_not_inserted_it_hands_on_its_input_and_has_no_gradient():
    module = FeatureShiftModule(3, 4)
    module.insert(False)
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    assert module(x) is x
    assert all(p.grad is None for p in module.parameters())


def test_a_checkpoint_says_whether_it_was_inserted():
    before, after = FeatureShiftModule(3, 4), FeatureShiftModule(3, 4)
    before.insert(False)
    after.load_state_dict(before.state_dict())
    x = torch.randn(1, 3, 4, 4)
    assert after(x) is x
    before.insert()
    after.load_state_dict(before.state_dict())
    assert after(x) is not x


def test_offsets_of_another_number_are_refused_even_when_not_strict():
    network = nn.ModuleDict(dict(shift1_1=FeatureShiftModule(3, 4)))
    other = nn.ModuleDict(dict(shift1_1=FeatureShiftModule(3, 6)))
    with pytest.raises(
            ValueError,
            match=r'shift1_1.shift.offset must be 4 x 2 .*K = 4.*\(6, 2\)'):
        network['shift1_1'].shift._load_from_state_dict(
            other.state_dict(), 'shift1_1.shift.', {}, False, [], [], [])


def test_channels_that_left_the_map_are_counted():
    shift = ChannelShift(4)
    shift.offset.data = torch.tensor([[0., 0], [-5, 0], [0, 6.9], [4.9, 7]])
    assert shift.outside((5, 7)) == 2


@pytest.mark.parametrize('kind', ['fixed', 'whole'])
def test_offsets_that_are_not_learned_stay(kind):
    module = FeatureShiftModule(3, 64, offset_std=3.0, offset_kind=kind)
    offset = module.shift.offset
    start = offset.detach().clone()
    assert start.std() > 2
    assert torch.equal(start, start.round()) == (kind == 'whole')
    optimizer = torch.optim.Adam(module.parameters(), 1.)
    module(torch.randn(2, 3, 5, 6)).square().sum().backward()
    optimizer.step()
    assert torch.equal(offset, start)
    assert 'shift.offset' in module.state_dict()


@pytest.mark.parametrize('options, message', [
    (dict(offset_kind='still'), "offset_kind must be one of .*got 'still'"),
    (dict(attention='softmax'), 'attention must be one of'),
    (dict(shift_channels=0), 'shift_channels must be at least 1, got 0'),
    (dict(offset_std=-1), 'offset_std must be at least 0, got -1'),
])
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        FeatureShiftModule(3, **options)


def test_initial_values_come_back():
    torch.manual_seed(0)
    module = FeatureShiftModule(64, 512, offset_std=2.0)
    nn.init.constant_(module.alpha.weight, 0)
    nn.init.constant_(module.shift.offset, 0)
    module.init_weights()
    assert 1.8 < module.shift.offset.std() < 2.2
    assert abs(module.alpha.weight.std() * 8 - 1) < 0.05
