import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdense.modules.feature_pyramid_attention import FeaturePyramidAttention
from mmdense.modules.squeeze_excite_attention import SqueezeExciteAttention


def randomise(module, seed=0):
    """Values no two of which agree, norms' statistics included; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                spread = torch.rand(value.shape, generator=generator)
                # Statistics and scales away from zero, weights around it.
                value.copy_(spread + 0.5 if 'running_var' in name else spread -
                            0.3)
    return module.eval()


def image(*shape, seed=1):
    return torch.randn(
        shape, generator=torch.Generator().manual_seed(seed))


def cbr(x, block):
    """Convolution, batch norm and ReLU by their formulas."""
    conv, norm = block[0], block[1]
    x = F.conv2d(x, conv.weight, padding=conv.weight.shape[-1] // 2)
    std = (norm.running_var + norm.eps).sqrt().view(-1, 1, 1)
    x = (x - norm.running_mean.view(-1, 1, 1)) / std
    x = x * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    return x.clamp(min=0)


def halve(x, pooling):
    """Pooling by 2 of an even map, by its formula."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
    return blocks.mean((3, 5)) if pooling == 'average' \
        else blocks.amax((3, 5))


def double(x, align_corners):
    return F.interpolate(
        x, scale_factor=2, mode='bilinear', align_corners=align_corners)


@pytest.mark.parametrize('pooling', ['average', 'max'])
@pytest.mark.parametrize('kernels', [(7, 5, 3), (3, 3, 3), (3, 5, 7)])
@pytest.mark.parametrize('corners', [False, True])
def test_matches_the_figure(pooling, kernels, corners):
    fpa = randomise(
        FeaturePyramidAttention(
            6,
            4,
            4,
            kernel_sizes=kernels,
            pooling=pooling,
            align_corners=corners))
    x = image(2, 6, 24, 16)
    one = cbr(halve(x, pooling), fpa.down[0])
    two = cbr(halve(one, pooling), fpa.down[1])
    three = cbr(halve(two, pooling), fpa.down[2])
    up = cbr(three, fpa.lateral[2])
    up = cbr(two, fpa.lateral[1]) + double(up, corners)
    up = cbr(one, fpa.lateral[0]) + double(up, corners)
    mean = x.mean((2, 3), keepdim=True)
    expected = cbr(x, fpa.value) * double(up, corners) + \
        cbr(mean, fpa.context)
    torch.testing.assert_close(fpa(x), expected, rtol=1e-4, atol=1e-4)
    sides = [block[0].kernel_size[0] for block in fpa.down]
    assert sides == list(kernels)  # fine to coarse


def test_the_pyramid_is_as_wide_as_asked():
    x = image(2, 6, 8, 8)
    one = randomise(FeaturePyramidAttention(6, 4, 1, global_pooling=False))
    assert one.pyramid(x).shape == (2, 1, 8, 8)
    torch.testing.assert_close(one(x), one.value(x) * one.pyramid(x))
    added = randomise(
        FeaturePyramidAttention(6, 4, 1, global_pooling=False, multiply=False))
    torch.testing.assert_close(added(x), added.value(x) + added.pyramid(x))
    other = randomise(FeaturePyramidAttention(6, 4, 3))
    assert other.down[0][0].out_channels == 3
    assert other.pyramid(x).shape == other(x).shape == (2, 4, 8, 8)


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (2, 3), (5, 3), (33, 18)])
@pytest.mark.parametrize('pooling', ['average', 'max'])
def test_any_size_keeps_its_size(size, pooling):
    fpa = randomise(FeaturePyramidAttention(3, 4, 4, pooling=pooling))
    out = fpa(image(2, 3, *size))
    assert out.shape == (2, 4, *size)
    assert out.isfinite().all()


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (7, 13)])
def test_a_constant_map_stays_constant_at_odd_sizes(size):
    # Padding an odd border with zeros would show at the border.
    fpa = randomise(FeaturePyramidAttention(3, 4, 4, kernel_sizes=(1, 1, 1)))
    out = fpa(torch.full((1, 3, *size), 0.7))
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out))


def test_every_pixel_of_an_odd_map_is_read():
    fpa = FeaturePyramidAttention(1, 1, 1, kernel_sizes=(1, 1, 1)).eval()
    for conv in fpa.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.ones_(conv.weight)
    x = image(1, 1, 9, 7).abs().requires_grad_()
    fpa.pyramid(x).sum().backward()
    assert (x.grad > 0).all()


@pytest.mark.parametrize('options', [
    dict(pooling='max'),
    dict(align_corners=True),
    dict(global_pooling=False),
    dict(kernel_sizes=(3, 3, 3)),
    dict(kernel_sizes=(3, 5, 7)),
    dict(kernel_sizes=(7, 5)),
    dict(pyramid_channels=1),
    dict(pyramid_channels=3),
], ids=str)
def test_every_option_changes_the_count_or_the_output(options):
    default = dict(in_channels=6, out_channels=4, pyramid_channels=4)
    plain = randomise(FeaturePyramidAttention(**default))
    other = randomise(FeaturePyramidAttention(**{**default, **options}))
    counts = [sum(p.numel() for p in m.parameters()) for m in (plain, other)]
    x = image(2, 6, 16, 16)
    if counts[0] == counts[1]:
        assert not torch.allclose(plain(x), other(x))


@pytest.mark.parametrize('module', [
    FeaturePyramidAttention(6, 4, 3, norm=lambda c: nn.GroupNorm(1, c)),
    SqueezeExciteAttention(6, 4, 2, norm=lambda c: nn.GroupNorm(1, c)),
], ids=lambda module: type(module).__name__)
def test_the_norm_reaches_every_convolution(module):
    norms = [m for m in module.modules() if isinstance(m, nn.GroupNorm)]
    biasless = [
        m for m in module.modules()
        if isinstance(m, nn.Conv2d) and m.bias is None
    ]
    assert len(norms) == len(biasless) > 0
    assert not any(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def test_every_parameter_learns():
    fpa = FeaturePyramidAttention(6, 4, 3)
    fpa(image(3, 6, 16, 12)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0
               for p in fpa.parameters())


def test_init_weights_restores_the_norms_and_draws_the_kernels():
    fpa = FeaturePyramidAttention(64, 8, 8)
    with torch.no_grad():
        for parameter in fpa.parameters():
            parameter.fill_(9)
    fpa.init_weights()
    conv, norm = fpa.down[0][0], fpa.down[0][1]
    assert (norm.weight == 1).all() and (norm.bias == 0).all()
    expected = (2 / (64 * 49))**0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_exports_with_a_height_of_any_multiple_of_eight():
    fpa = randomise(FeaturePyramidAttention(3, 4, 4))
    height = 8 * torch.export.Dim('eighths', min=2, max=64)
    program = torch.export.export(
        fpa, (image(1, 3, 24, 16), ), dynamic_shapes=({2: height}, ))
    x = image(1, 3, 40, 16)
    torch.testing.assert_close(program.module()(x), fpa(x))


@pytest.mark.parametrize('options, message', [
    (dict(pooling='mean'), "pooling must be one of .*got 'mean'"),
    (dict(kernel_sizes=()), 'kernel_sizes must have one kernel per'),
    (dict(kernel_sizes=(7, 4, 3)), 'kernel_size must be a positive odd .*4'),
], ids=str)
def test_refuses_options_the_pyramid_cannot_have(options, message):
    with pytest.raises(ValueError, match=message):
        FeaturePyramidAttention(6, 4, 4, **options)


def test_squeeze_excite_matches_its_formula():
    module = randomise(SqueezeExciteAttention(8, 4, reduction=2))
    x = image(2, 8, 5, 7)
    mean = x.mean((2, 3))
    hidden = F.linear(mean, module.squeeze.weight[..., 0, 0],
                      module.squeeze.bias).clamp(min=0)
    gate = 1 / (1 + (-F.linear(hidden, module.excite.weight[..., 0, 0],
                               module.excite.bias)).exp())
    assert hidden.shape == (2, 4)
    torch.testing.assert_close(
        module(x), cbr(x, module.value) * gate[..., None, None])


@pytest.mark.parametrize('reduction', [0, 9])
def test_squeeze_excite_refuses_a_reduction_to_nothing(reduction):
    with pytest.raises(ValueError, match=f'reduction must be 1 to 8.*got '
                       f'{reduction}'):
        SqueezeExciteAttention(8, 4, reduction)


def test_the_same_function_as_segmentation_models_pytorch():
    decoder = pytest.importorskip(
        'segmentation_models_pytorch.decoders.pan.decoder',
        reason='the independent implementation is not installed')
    theirs = randomise(decoder.FPABlock(6, 4))
    # Theirs departs from the paper: max pooling, one pyramid channel, aligned
    # corners, a bias before every norm (zero here).
    ours = FeaturePyramidAttention(
        6, 4, 1, pooling='max', align_corners=True).eval()
    pairs = [(ours.value, theirs.mid[0]), (ours.context, theirs.branch1[1]),
             (ours.down[0], theirs.down1[1]), (ours.down[1], theirs.down2[1]),
             (ours.down[2], theirs.down3[1]),
             (ours.lateral[0], theirs.conv1), (ours.lateral[1], theirs.conv2),
             (ours.lateral[2], theirs.down3[2])]
    with torch.no_grad():
        for mine, other in pairs:
            other.conv.bias.zero_()
            mine[0].weight.copy_(other.conv.weight)
            mine[1].load_state_dict(other.bn.state_dict())
        x = image(2, 6, 24, 16)
        expected = theirs(x)
        assert expected.std() > 0.1
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5)
