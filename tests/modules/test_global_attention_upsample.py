import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdense.modules.global_attention_upsample import GlobalAttentionUpsample


def randomise(module, seed=0):
    """Values no two of which agree, norms' statistics included; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                spread = torch.rand(value.shape, generator=generator)
                value.copy_(spread + 0.5 if 'running_var' in name else spread -
                            0.3)
    return module.eval()


def maps(low, high, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(low, generator=generator),
            torch.randn(high, generator=generator))


def conv_norm(x, block):
    conv, norm = block[0], block[1]
    x = F.conv2d(x, conv.weight, padding=conv.weight.shape[-1] // 2)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight,
                        norm.bias)


@pytest.mark.parametrize('kernel_size', [1, 3])
def test_matches_the_figure(kernel_size):
    gau = randomise(GlobalAttentionUpsample(6, 4, 4, kernel_size))
    low, high = maps((2, 6, 10, 8), (2, 4, 5, 4))
    assert gau.reduce[0].kernel_size == (kernel_size, kernel_size)
    mean = high.mean((2, 3), keepdim=True)
    weight = conv_norm(mean, gau.weight).clamp(min=0)
    up = F.interpolate(high, (10, 8), mode='bilinear', align_corners=False)
    expected = up + weight * conv_norm(low, gau.reduce)
    assert (weight > 0).any()
    torch.testing.assert_close(
        gau(low, high), expected, rtol=1e-4, atol=1e-4)


def test_without_global_context_the_maps_are_added():
    gau = randomise(GlobalAttentionUpsample(6, 4, 4, global_context=False))
    low, high = maps((2, 6, 5, 4), (2, 4, 5, 4))
    torch.testing.assert_close(
        gau(low, high),
        high + conv_norm(low, gau.reduce),
        rtol=1e-4,
        atol=1e-4)


def test_a_wide_coarse_map_is_reduced_and_weights_with_its_own_width():
    gau = randomise(GlobalAttentionUpsample(6, 9, 4))
    low, high = maps((2, 6, 5, 4), (2, 9, 5, 4))
    assert gau.weight[0].in_channels == 9
    mean = high.mean((2, 3), keepdim=True)
    weight = conv_norm(mean, gau.weight).clamp(min=0)
    expected = conv_norm(high, gau.project) + \
        weight * conv_norm(low, gau.reduce)
    torch.testing.assert_close(
        gau(low, high), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('high', [(1, 1), (3, 4), (7, 9), (14, 20)])
def test_the_output_has_the_size_of_the_fine_map(high):
    gau = randomise(GlobalAttentionUpsample(6, 4, 4))
    low, coarse = maps((2, 6, 7, 9), (2, 4, *high))
    assert gau(low, coarse).shape == (2, 4, 7, 9)


@pytest.mark.parametrize('options', [
    dict(kernel_size=1),
    dict(global_context=False),
    dict(align_corners=True),
], ids=str)
def test_every_option_changes_the_count_or_the_output(options):
    plain = randomise(GlobalAttentionUpsample(6, 4, 4))
    other = randomise(GlobalAttentionUpsample(6, 4, 4, **options))
    counts = [sum(p.numel() for p in m.parameters()) for m in (plain, other)]
    low, high = maps((2, 6, 10, 8), (2, 4, 5, 4))
    if counts[0] == counts[1]:
        assert not torch.allclose(plain(low, high), other(low, high))


def test_the_norm_reaches_every_convolution():
    gau = GlobalAttentionUpsample(
        6, 9, 4, norm=lambda channels: nn.GroupNorm(1, channels))
    norms = [m for m in gau.modules() if isinstance(m, nn.GroupNorm)]
    convs = [m for m in gau.modules() if isinstance(m, nn.Conv2d)]
    assert len(norms) == len(convs) == 3


def test_every_parameter_learns():
    gau = GlobalAttentionUpsample(6, 9, 4)
    low, high = maps((3, 6, 10, 8), (3, 9, 5, 4))
    gau(low, high).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0
               for p in gau.parameters())


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match='kernel_size must be .* odd.*got 2'):
        GlobalAttentionUpsample(6, 4, 4, kernel_size=2)


def test_the_same_function_as_segmentation_models_pytorch():
    decoder = pytest.importorskip(
        'segmentation_models_pytorch.decoders.pan.decoder',
        reason='the independent implementation is not installed')
    theirs = randomise(decoder.GAUBlock(6, 4))
    # Theirs departs from the paper: a sigmoid on the weight, a ReLU on the
    # fine map, aligned corners, a bias before every norm (zero here).
    theirs.conv1[2] = nn.ReLU()
    theirs.conv2.add_relu = False
    ours = GlobalAttentionUpsample(6, 4, 4, align_corners=True).eval()
    with torch.no_grad():
        for mine, other in [(ours.weight, theirs.conv1[1]),
                            (ours.reduce, theirs.conv2)]:
            other.conv.bias.zero_()
            mine[0].weight.copy_(other.conv.weight)
            mine[1].load_state_dict(other.bn.state_dict())
        low, high = maps((2, 6, 10, 8), (2, 4, 5, 4))
        expected = theirs(low, high)
        torch.testing.assert_close(
            ours(low, high), expected, rtol=1e-5, atol=1e-5)
