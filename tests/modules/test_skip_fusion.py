"""FCN's decoder: bilinear upsampling, alignment, one stage from the other."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F

pytest.importorskip('torchvision')

from mmdense.modules.convolutional_classifier import (  # noqa: E402
    ConvolutionalAlexNet,
    ConvolutionalGoogLeNet,
    ConvolutionalVGG16,
)
from mmdense.modules.skip_fusion import (  # noqa: E402
    SkipFusion,
    bilinear_kernel,
)

FCN_32S = [dict(factor=32, crop=19)]
FCN_16S = [dict(factor=2, crop=5), dict(factor=16, crop=27)]
FCN_8S = [
    dict(factor=2, crop=5),
    dict(factor=2, crop=9),
    dict(factor=8, crop=31)
]


# Of maps that fit together: pool3, pool4 and fc7.
SIDES = (60, 30, 9)


def fusion(upsampling, classes=1):
    """The decoder, its scores the maps themselves."""
    net = SkipFusion([classes] * len(upsampling), classes, upsampling)
    for score in net.scores:
        with torch.no_grad():
            score.weight.copy_(torch.eye(classes)[..., None, None])
    return net


def test_interpolates_as_pytorch_does_away_from_the_border():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 5, 7, generator=generator)
    with torch.no_grad():
        out = fusion([dict(factor=8, crop=4)], 3)([scores], (40, 56))
    expected = F.interpolate(scores, scale_factor=8, mode='bilinear')
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(out[inside], expected[inside])


def test_an_odd_kernel_keeps_the_scores_on_whole_pixels():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(1, 2, 4, 5, generator=generator)
    net = fusion([dict(factor=8, kernel_size=15, crop=7)], 2)
    with torch.no_grad():
        out = net([scores], (25, 33))
    torch.testing.assert_close(out[..., ::8, ::8], scores)
    torch.testing.assert_close(
        out, F.interpolate(scores, (25, 33), mode='bilinear',
                           align_corners=True))


def test_kernel_is_the_published_one():
    expected = torch.tensor([1., 3, 3, 1]) / 4
    torch.testing.assert_close(
        bilinear_kernel(4, 2), torch.outer(expected, expected))


def centre(layers):
    """The pixel in the middle of what a map's first position sees.

    By each layer's window alone: half its kernel less its padding.
    """
    at, jump = 0., 1
    for kernel, stride, padding in layers:
        at += ((kernel - 1) / 2 - padding) * jump
        jump *= stride
    return at, jump


CONV, POOL2, POOL3 = (3, 1, 1), (2, 2, 0), (3, 2, 0)
VGG_POOL3 = [(3, 1, 100), CONV, POOL2, CONV, CONV, POOL2, CONV, CONV, CONV,
             POOL2]
VGG_POOL4 = [*VGG_POOL3, CONV, CONV, CONV, POOL2]
VGG_FC7 = [*VGG_POOL4, CONV, CONV, CONV, POOL2, (7, 1, 0)]
ALEXNET_FC7 = [(11, 4, 100), POOL3, (5, 1, 2), POOL3, CONV, CONV, CONV, POOL3,
               (6, 1, 0)]
GOOGLENET_5B = [(7, 2, 100), POOL3, CONV, POOL3, CONV, POOL3, CONV, POOL3]


def response(upsampling, index, at, size=160):
    """First and last row of the image that a position's score reaches."""
    net = fusion(upsampling)
    maps = [torch.zeros(1, 1, n, n) for n in SIDES[-len(upsampling):]]
    maps[index][..., at, at] = 1
    with torch.no_grad():
        rows = net(maps, (size, size))[0, 0].sum(1).nonzero().flatten()
    return rows.min().item(), rows.max().item()


@pytest.mark.parametrize('layers, upsampling, index', [
    (VGG_FC7, FCN_32S, 0),
    (VGG_FC7, FCN_16S, 1),
    (VGG_POOL4, FCN_16S, 0),
    (VGG_FC7, FCN_8S, 2),
    (VGG_POOL4, FCN_8S, 1),
    (VGG_POOL3, FCN_8S, 0),
    (ALEXNET_FC7, [dict(factor=32, kernel_size=63, crop=18)], 0),
    (GOOGLENET_5B, [dict(factor=32, kernel_size=63, crop=98)], 0),
    ([*GOOGLENET_5B[:-1], POOL2], [dict(factor=32, kernel_size=63, crop=106)],
     0),
])
def test_a_score_lies_around_the_middle_of_what_it_saw(layers, upsampling,
                                                       index):
    first, stride = centre(layers)
    # A position near the image's middle, so that nothing is cropped away.
    at = round((80 - first) / stride)
    low, high = response(upsampling, index, at)
    assert 0 < low and high < 159
    assert (low + high) / 2 == first + at * stride


# Sizes fit alike every 32 pixels.
SIZES = [*range(1, 35), 224, 227, 500]


@pytest.mark.parametrize('network, decoders', [
    (lambda: ConvolutionalVGG16(1, 1),
     [([1], FCN_32S), ([8, 1], FCN_16S), ([4, 8, 1], FCN_8S)]),
    (ConvolutionalAlexNet,
     [([4096], [dict(factor=32, kernel_size=63, crop=18)])]),
    (ConvolutionalGoogLeNet,
     [([1024], [dict(factor=32, kernel_size=63, crop=98)])]),
    (lambda: ConvolutionalGoogLeNet(True),
     [([1024], [dict(factor=32, kernel_size=63, crop=106)])]),
], ids=['vgg16', 'alexnet', 'googlenet', 'googlenet-torchvision'])
def test_scores_every_pixel_of_an_image_of_any_size(network, decoders):
    with torch.device('meta'):
        net = network()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.forward = torch.relu  # which is quick without values
        decoders = [SkipFusion(c, 2, up) for c, up in decoders]
        for side in SIZES:
            maps = net(torch.empty(1, 3, side, side + 2))
            for decoder in decoders:
                used = maps[-len(decoder.scores):]
                out = decoder(used, (side, side + 2))
                assert out.shape == (1, 2, side, side + 2)


@pytest.mark.parametrize('coarse, fine', [(FCN_32S, FCN_16S),
                                          (FCN_16S, FCN_8S)],
                         ids=['16s', '8s'])
def test_a_finer_network_begins_as_the_coarser_one(coarse, fine):
    """Exactly so on a plane, which both interpolate without error."""
    old = SkipFusion([3] * len(coarse), 2, coarse)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        old.scores[0].weight.normal_(generator=generator)
    new = SkipFusion([3] * len(fine), 2, fine)
    missing, unexpected = new.load_state_dict(old.state_dict(), strict=False)
    assert unexpected == []
    assert sorted(missing) == [
        f'scores.{len(coarse)}.bias', f'scores.{len(coarse)}.weight',
        f'upsamples.{len(coarse) - 1}.weight'
    ]
    plane = (torch.arange(9.)[:, None] - 2 * torch.arange(9.)).expand(1, 3, 9,
                                                                      9)
    finer = [
        torch.randn(1, 3, n, n, generator=generator)
        for n in SIDES[-len(fine):-1]
    ]
    with torch.no_grad():
        a = old([*finer[1:], plane], (200, 200))
        b = new([*finer, plane], (200, 200))
    inside = (..., slice(48, 160), slice(48, 160))
    assert a[inside].std() > 1
    torch.testing.assert_close(a[inside], b[inside], rtol=1e-4, atol=1e-4)


def test_each_map_adds_its_own_scores():
    net = fusion(FCN_8S)
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 1, n, n, generator=generator) for n in SIDES]
    zeros = [torch.zeros_like(m) for m in maps]
    with torch.no_grad():
        together = net(maps, (96, 96))
        alone = [
            net([m if i == k else z for i, (m, z) in enumerate(
                zip(maps, zeros, strict=True))], (96, 96)) for k in range(3)
        ]
    assert all(one.std() > 0.1 for one in alone)
    torch.testing.assert_close(together, sum(alone), rtol=1e-4, atol=1e-5)


def test_inner_upsampling_is_learned_and_the_last_is_not():
    names = {name for name, _ in SkipFusion([3, 4], 2, FCN_16S
                                            ).named_parameters()}
    assert {n for n in names if 'upsample' in n} == {'upsamples.0.weight'}
    assert not any('last' in n for n in SkipFusion([3], 2, FCN_32S
                                                   ).state_dict())


def test_starts_at_zero_scores_and_bilinear_class_by_class():
    net = SkipFusion([3, 4], 2, FCN_16S)
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    net.init_weights()
    assert all(not s.weight.any() and not s.bias.any() for s in net.scores)
    weight = net.upsamples[0].weight
    assert not weight[0, 1].any() and not weight[1, 0].any()
    torch.testing.assert_close(weight[1, 1], bilinear_kernel(4, 2))


@pytest.mark.parametrize('channels, upsampling, message', [
    ([3, 4], FCN_32S, r'one entry a map, 2 for in_channels=\[3, 4\], got 1'),
    ([3], [dict(factor=4, kernel_size=9, crop=0)],
     'kernel_size must be 7 or 8 for factor 4, got 9'),
])
def test_refuses_what_does_not_fit(channels, upsampling, message):
    with pytest.raises(ValueError, match=message):
        SkipFusion(channels, 2, upsampling)


def test_a_map_too_small_for_its_crop_is_named_with_the_size_wanted():
    net = SkipFusion([1], 2, FCN_32S)
    with pytest.raises(ValueError, match='x must be at least 109x39 for a '
                       'crop of 90x20 at 19, got 96x96'):
        net([torch.zeros(1, 1, 2, 2)], (90, 20))
