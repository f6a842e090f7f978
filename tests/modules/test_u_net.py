"""U-Net: its figure's sizes and counts, and what it refuses."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mmdense.modules.u_net import (
    UNet,
    covering_size,
    crop_center,
    nearest_sizes,
    output_size,
    works,
)


def walk(size, depth):
    """The output side, level by level; None where it does not go."""
    sides = []
    for _ in range(depth):
        size -= 4
        sides.append(size)
        if size < 2 or size % 2:
            return None
        size //= 2
    size -= 4
    for side in reversed(sides):
        if size < 1:
            return None
        size *= 2
        assert (side - size) % 2 == 0  # the crop is centred
        size -= 4
    return size if size > 0 else None


def small(depth=2, **options):
    """A narrow network in eval mode and float64."""
    torch.manual_seed(0)
    return UNet(2, 3, depth, **options).double().eval()


def test_has_the_papers_parameters_multiply_adds_and_convolutions():
    with torch.device('meta'):
        network = nn.Sequential(UNet(), nn.Conv2d(64, 2, 1)).eval()
        with FlopCounterMode(display=False) as counter:
            assert network(torch.empty(1, 1, 572, 572)).shape == \
                (1, 2, 388, 388)
    assert sum(p.numel() for p in network.parameters()) == 31030658
    assert counter.get_total_flops() == 2 * 150428424448
    convs = [m for m in network.modules()
             if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convs) == 23


def test_the_maps_have_the_sides_of_figure_1():
    seen = []
    with torch.device('meta'):
        network = UNet(base_channels=1).eval()
        for block in [*network.down, *network.up]:
            block.register_forward_hook(
                lambda m, x, y: seen.append((x[0].shape[-1], y.shape[-1])))
        network(torch.empty(1, 1, 572, 572))
    assert seen == [(572, 568), (284, 280), (140, 136), (68, 64), (32, 28),
                    (56, 52), (104, 100), (200, 196), (392, 388)]


@pytest.mark.parametrize('depth', [1, 2, 3, 4])
def test_sizes_are_those_of_walking_through_the_levels(depth):
    sizes = range(1, 400)
    outputs = {size: walk(size, depth) for size in sizes}
    for size in sizes:
        assert works(size, depth) == (outputs[size] is not None)
        below, above = nearest_sizes(size, depth)
        fits = [s for s in sizes if s <= size and outputs[s]]
        assert below == (fits[-1] if fits else None)
        assert above >= size and walk(above, depth)
        assert not any(outputs[s] for s in sizes if size <= s < above)
        if outputs[size]:
            assert output_size(size, depth) == outputs[size]
            assert covering_size(outputs[size], depth) == size
            assert covering_size(outputs[size] + 1, depth) == size + 2**depth


@pytest.mark.parametrize('size, near', [(512, '508 or 524'), (184, '188'),
                                        (573, '572 or 588'), (1, '188')])
def test_a_size_that_does_not_fit_is_refused_naming_the_nearest(size, near):
    with pytest.raises(ValueError, match=f'{size} does not fit.*: {near}$'):
        output_size(size)


def test_the_network_refuses_a_side_that_does_not_fit():
    network = small()
    assert network(torch.zeros(1, 2, 44, 48).double()).shape == (1, 3, 4, 8)
    with pytest.raises(ValueError, match='side of 45 .*: 44 or 48'):
        network(torch.zeros(1, 2, 44, 45).double())


def test_a_network_without_a_pool_is_refused():
    with pytest.raises(ValueError, match='depth must be at least 1, got 0'):
        UNet(depth=0)


def test_one_level_is_the_figures_formula():
    network = small(1)
    x = torch.randn(2, 2, 22, 26, dtype=torch.float64)

    def convs(x, block):
        for conv in (block[0], block[2]):
            x = F.conv2d(x, conv.weight, conv.bias).clamp(min=0)
        return x

    fine = convs(x, network.down[0])  # 18 x 22
    coarse = fine.reshape(2, 3, 9, 2, 11, 2).amax((3, 5))
    coarse = convs(coarse, network.down[1])  # 5 x 7
    weight = network.up_convs[0].weight
    up = torch.einsum('nchw,cdij->ndhiwj', coarse, weight)
    up = up.reshape(2, 3, 10, 14) + network.up_convs[0].bias[:, None, None]
    expected = convs(torch.cat([fine[..., 4:14, 4:18], up], 1), network.up[0])
    torch.testing.assert_close(network(x), expected)


def test_a_pixel_farther_than_the_context_changes_nothing():
    network = small(1)
    x = torch.randn(1, 2, 38, 38, dtype=torch.float64)
    y = x.clone()
    y[..., 0, :] += 1  # 8 pixels above the first output pixel's row
    before, after = network(x), network(y)
    assert not torch.equal(before[..., 0, :], after[..., 0, :])
    # Row 0 feeds the pools of rows up to 8 + 8 pixels below it, no others.
    torch.testing.assert_close(before[..., 9:, :], after[..., 9:, :])


def test_the_crop_is_the_middle():
    x = torch.arange(35).reshape(5, 7)
    assert crop_center(x, 1, 3).tolist() == [[16, 17, 18]]


def test_weights_start_with_the_spread_of_he():
    network = UNet(2, 16, 2)
    network.down[1][0].weight.data.fill_(7)
    network.init_weights()
    for conv, inputs in ((network.down[1][0], 9 * 16),
                         (network.up[0][0], 9 * 64),
                         (network.up_convs[0], 64)):
        assert conv.weight.std().item() == pytest.approx(
            (2 / inputs)**0.5, rel=0.08)
        assert not conv.bias.any()


def test_dropout_acts_on_the_last_two_levels_down_in_training_only():
    network = small(3, dropout=0.99)
    seen = []
    network.dropout.register_forward_hook(
        lambda m, x, y: seen.append(x[0].shape[1]))
    x = torch.randn(1, 2, 92, 92, dtype=torch.float64)
    assert torch.equal(network(x), network(x))
    assert seen == [12, 24] * 2
    network.train()
    assert not torch.equal(network(x), network(x))


def test_the_gradient_reaches_every_parameter():
    network = small(1)
    x = torch.randn(1, 2, 22, 22, dtype=torch.float64)
    network(x).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())
