"""Any arguments for the parts of FCN, U-Net and the scale-adaptive rival."""
import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from any_arguments import (
    ANY_MAP,
    DTYPES,
    FLAG,
    NO_MAP,
    ODD_SIDE,
    SEED,
    WRONG,
    arguments,
    attempt,
    close,
    profile,
    refusal_names,
    seeded,
    tensor,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from mmdense.modules import u_net
from mmdense.modules.conv_norm import (
    check_values,
    conv_norm,
    init_conv_norms,
    init_norm,
    resize_like,
    run_on_few,
)
from mmdense.modules.convolutional_classifier import (
    ConvolutionalAlexNet,
    ConvolutionalGoogLeNet,
    ConvolutionalVGG16,
)
from mmdense.modules.once import warn_once
from mmdense.modules.skip_fusion import SkipFusion, bilinear_kernel, crop
from mmdense.ops import (
    adaptive_dilated_conv2d,
    use_backend,
)

CHANNELS = st.integers(1, 4)


@settings(profile)
@given(
    arguments(
        in_channels=CHANNELS, out_channels=CHANNELS, kernel_size=ODD_SIDE,
        norm=st.just(nn.BatchNorm2d), relu=FLAG),
    arguments(
        NO_MAP, x=ANY_MAP, like=ANY_MAP, align_corners=FLAG), SEED)
def test_a_convolution_keeps_the_size_and_resizing_interpolates(
        case, resizing, seed):
    layers = attempt(conv_norm, case)
    if layers is not None:
        given, _ = case
        init_conv_norms(layers.eval())
        x = tensor((2, given['in_channels'], 4, 5), seed)
        out = F.conv2d(x, layers[0].weight, padding='same') / 1.00001**.5
        close(run_on_few(layers, x, 'a part'),
              out.relu() if given['relu'] else out)
        init_norm(layers[1].train())
        for pixels in (x, x[..., :1, :1]):
            check_values(layers[1], pixels, 'a part')
        with pytest.raises(ValueError, match='a part.*more than one value'):
            check_values(layers[1], x[:1, :, :1, :1], 'a part')
        warn_once('nothing is wrong')
    out = attempt(resize_like, resizing)
    if out is None:
        return
    given, _ = resizing
    expected = given['x'].double().numpy()
    for axis in (2, 3):
        old, new = expected.shape[axis], given['like'].shape[axis]
        at = np.arange(new) * ((old - 1) / max(1, new - 1))
        if not given['align_corners']:
            at = (np.arange(new) + 0.5) * old / new - 0.5
        expected = np.apply_along_axis(
            lambda line, at=at: np.interp(at, np.arange(len(line)), line),
            axis, expected)
    close(out.double(), torch.from_numpy(expected), out.dtype)


@functools.cache
def whole_classifier(kind, torchvision_layers):
    return seeded(lambda: kind(torchvision_layers)).eval()


def naive_vgg(x, net):
    maps, at, padding = [x], 0, 100
    for block, depth in enumerate((2, 2, 3, 3, 3)):
        for _ in range(depth):
            layer = net.features[at]
            x = F.conv2d(x, layer.weight, layer.bias, 1, padding).relu()
            at, padding = at + 2, 1
        at += 1
        # Rounding up: what is missing of the last window counts for nothing.
        x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), value=-math.inf)
        x = F.max_pool2d(x, 2)
        if block in (2, 3):
            maps.append(x)
    for layer in (net.fc6, net.fc7):
        x = F.conv2d(x, layer.weight, layer.bias).relu()
    return [*maps, x]


@settings(profile)
@given(
    arguments(base_channels=st.integers(1, 2), fc_channels=CHANNELS,
              dropout=st.sampled_from([0, 0.5, 1])),
    arguments(NO_MAP, image=st.builds(
        tensor, st.tuples(st.integers(1, 2), st.just(3), st.integers(1, 40),
                          st.integers(1, 40)), SEED)),
    # Seconds each.
    st.sampled_from([None] * 6 + [
        ConvolutionalAlexNet, ConvolutionalGoogLeNet]), FLAG,
    st.sampled_from([None] * 4 + ['a', -1, 2, math.nan]))
def test_a_classifier_is_its_convolutions(vgg, image, kind, layers, dropout):
    if dropout is not None:
        for other in (ConvolutionalAlexNet, ConvolutionalGoogLeNet):
            with pytest.raises((TypeError, ValueError), match='dropout must'):
                other(dropout=dropout)
    net = attempt(lambda **given: seeded(
        lambda: ConvolutionalVGG16(**given)), vgg)
    with torch.no_grad():
        if net is not None:
            maps = attempt(net.eval(), image)
            if maps is not None:
                for a, b in zip(maps, naive_vgg(maps[0], net), strict=True):
                    close(a, b)
        if kind is None:
            return
        net = whole_classifier(kind, layers)
        maps = attempt(net, image)
        if maps is None:
            return
        x = image[0]['image']
        assert len(maps) == 4 and torch.equal(maps[0], x)
        for a, b in zip(maps, net(x[:1]), strict=True):
            assert torch.isfinite(a).all()
            close(a[:1], b)


def naive_up(x, kernel, stride):
    """(N, C, H, W) by a kernel (C, C', k, k), pixel by pixel."""
    n, _, h, w = x.shape
    side = kernel.shape[2]
    out = x.new_zeros(n, kernel.shape[1], (h - 1) * stride + side,
                      (w - 1) * stride + side)
    for i in range(h):
        for j in range(w):
            out[..., i * stride:i * stride + side,
                j * stride:j * stride + side] += torch.einsum(
                    'nc,cdab->ndab', x[..., i, j], kernel)
    return out


def cut(x, offset, size):
    """None where there is not enough."""
    x = x[..., offset:offset + size[0], offset:offset + size[1]]
    return x if tuple(x.shape[2:]) == tuple(size) else None


def naive_fusion(net, maps, size):
    x = None
    for k, (m, score) in enumerate(zip(maps[::-1], net.scores, strict=True)):
        s = torch.einsum('nchw,dc->ndhw', m, score.weight[..., 0, 0])
        s = s + score.bias[:, None, None]
        if x is not None:
            up = net.upsamples[k - 1]
            x = naive_up(x, up.weight, up.stride[0])
            s = cut(s, net.crops[k - 1], x.shape[2:])
            if s is None:
                return None
        x = s if x is None else x + s
    each = net.last_kernel * torch.eye(x.shape[1])[..., None, None]
    return cut(naive_up(x, each, net.last_factor), net.crops[-1], size)


@st.composite
def upsampling(draw):
    factor = draw(st.integers(1, 3))
    step = dict(factor=factor, crop=draw(st.integers(0, 2)))
    kernel = draw(st.sampled_from([None, 2 * factor, 2 * factor - 1]))
    return step if kernel is None else dict(step, kernel_size=kernel)


WRONG_STEP = st.one_of(WRONG, st.sampled_from([
    dict(factor=2), dict(crop=1), dict(factor=0, crop=1),
    dict(factor=2, crop=-1), dict(factor=2, crop=None),
    dict(factor='a', crop=1), dict(factor=2, crop=1, kernel_size=5),
    dict(factor=2, crop=1, kernal_size=4)]))


@settings(profile)
@given(
    st.lists(st.tuples(CHANNELS, upsampling()), min_size=1, max_size=3),
    st.integers(1, 3), st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.sampled_from([None] * 4 + [
        'in_channels', 'num_classes', 'upsampling', 'step', 'maps', 'map',
        'size']), WRONG, WRONG_STEP, NO_MAP, SEED)
def test_fused_scores_are_added_up(levels, classes, size, spoilt, wrong,
                                   wrong_step, no_map, seed):
    """Coarse maps last; each a little larger than it needs to be."""
    # Right for three maps.
    assume((spoilt, wrong, len(levels)) != ('in_channels', (1, 2, 3), 3))
    channels, steps = zip(*levels, strict=True)
    given = dict(in_channels=channels, num_classes=classes, upsampling=steps)
    if spoilt in given:
        given[spoilt] = wrong
    elif spoilt == 'step':
        given['upsampling'] = [*steps[:-1], wrong_step]
    try:
        net = SkipFusion(**given)
    except (TypeError, ValueError) as error:
        assert spoilt
        refusal_names(error, [spoilt.replace('step', 'upsampling'),
                              'upsampling'])
        return
    assert spoilt not in ('in_channels', 'num_classes', 'upsampling', 'step')
    for k, parameter in enumerate(net.parameters()):
        parameter.data = tensor(parameter.shape, k)
    sides = [(2, 3)]
    for step in steps[:-1]:
        sides.append([
            (s - 1) * step['factor'] + 6 + 2 * step['crop'] - seed % 3
            for s in sides[-1]])
    maps = [tensor((2, c, *side), seed)
            for c, side in zip(channels, sides[::-1], strict=True)]
    if spoilt == 'maps':
        maps = wrong
    elif spoilt == 'map':
        maps[0] = no_map
    elif spoilt == 'size':
        size = wrong
    try:
        with torch.no_grad():
            out = net(maps, size)
    except (TypeError, ValueError) as error:
        refusal_names(error, ['maps', 'size', 'crop'])
        assert spoilt or naive_fusion(net, maps, size) is None
        return
    assert spoilt not in ('maps', 'size')
    close(out, naive_fusion(net, maps, size))


@settings(profile)
@given(
    arguments(kernel_size=st.integers(1, 8), factor=st.integers(1, 4)),
    arguments(x=ANY_MAP, offset=st.integers(0, 3), size=st.tuples(
        st.integers(1, 5), st.integers(1, 5))),
    arguments(x=ANY_MAP, height=st.integers(1, 7), width=st.integers(1, 7)))
def test_kernels_and_crops(kernel, corner, middle):
    given, spoilt = kernel
    try:
        found = bilinear_kernel(**given)
    except (TypeError, ValueError) as error:
        refusal_names(error, [spoilt or 'kernel_size', 'kernel_size'])
        assert spoilt or given['kernel_size'] not in (
            2 * given['factor'], 2 * given['factor'] - 1)
    else:
        line = tensor((1, 1, 1, 4), 0).expand(1, 1, 4, 4)
        f = given['factor']
        up = naive_up(line, found[None, None], f)
        # In the middle, weights of each pixel sum to one.
        ones = naive_up(torch.ones(1, 1, 4, 4), found[None, None], f)
        close(ones[..., f:-f, f:-f], torch.ones_like(ones[..., f:-f, f:-f]))
        close(up[..., f:-f, :], up[..., f:f + 1, :].expand_as(
            up[..., f:-f, :]))
    given, spoilt = corner
    try:
        found = crop(**given)
    except (TypeError, ValueError) as error:
        refusal_names(error, [spoilt or 'x', 'x'])
        assert spoilt or cut(**given) is None
    else:
        assert torch.equal(found, cut(**given))
    given, spoilt = middle
    try:
        found = u_net.crop_center(**given)
    except (TypeError, ValueError) as error:
        names = [spoilt] if spoilt else ['height', 'width']
        refusal_names(error, [*names, 'x'])
        assert spoilt or any(
            given[name] > side for name, side in zip(
                ('height', 'width'), given['x'].shape[2:], strict=True))
    else:
        x, lost = given['x'], given['x'].shape[2] - given['height']
        left = (x.shape[3] - given['width']) // 2
        rows = x[:, :, lost // 2:x.shape[2] - (lost - lost // 2)]
        assert torch.equal(
            found, rows.narrow(3, left, given['width']))


def test_a_scale_adaptive_convolution_is_those_of_its_rates():
    pytest.importorskip('mmengine')
    scale_adaptive()


PAIR = st.one_of(st.integers(1, 2), st.tuples(
    st.integers(1, 2), st.integers(1, 2)))


@settings(profile)
@given(
    arguments(
        st.one_of(WRONG, st.sampled_from(['same', 2])),
        in_channels=st.integers(1, 3), out_channels=st.integers(1, 3),
        kernel_size=st.one_of(ODD_SIDE, st.tuples(ODD_SIDE, ODD_SIDE)),
        stride=PAIR, padding=st.integers(0, 3), dilation=PAIR,
        groups=st.integers(1, 2), bias=FLAG),
    st.tuples(st.one_of(st.integers(0, 3), st.just(33)), st.integers(1, 9),
              st.integers(1, 9)),
    st.sampled_from([0., 0.5, 1., 1., 1.25, 2., 3.]), SEED, DTYPES,
    st.one_of(*[st.none()] * 6, NO_MAP))
def scale_adaptive(case, size, rate, seed, dtype, no_map):
    from mmdense.adapters.scale_adaptive_conv import (
        PixelRateConv2d,
        ScaleAdaptiveConv2d,
    )
    given, spoilt = case
    if isinstance(given['groups'], int):
        for name in ('in_channels', 'out_channels'):
            if name != spoilt:
                given[name] *= max(1, given['groups'])
    layer = attempt(ScaleAdaptiveConv2d, case)
    if layer is None:
        return
    x = tensor((size[0], given['in_channels'], *size[1:]), seed, dtype)
    if no_map is not None:
        x = no_map.to(dtype) if isinstance(no_map, torch.Tensor) and \
            no_map.is_floating_point() else no_map
    layer = layer.to(dtype)
    layer.weight.data = tensor(layer.weight.shape, seed + 1, dtype)
    layer.rate_regression.offset.data.fill_(rate - 1)
    assert attempt(PixelRateConv2d, (dict(conv=no_map), 'conv')) is None
    with torch.no_grad():
        try:
            out = layer(x)
        except (TypeError, ValueError) as error:
            refusal_names(error, ['x', 'padding'])
            assert no_map is not None or any(
                s + 2 * p < d * (k - 1) + 1 for s, p, d, k in zip(
                    x.shape[2:], layer.padding, layer.dilation,
                    layer.kernel_size, strict=True))
            return
        rates = PixelRateConv2d(layer).to(dtype)(x)
        assert torch.equal(rates, torch.ones_like(out[:, :1]))
        with use_backend('reference'):
            expected = adaptive_dilated_conv2d(
                x.double(), layer.weight.double(),
                torch.full((len(x), 1), rate, dtype=torch.float64),
                None if layer.bias is None else layer.bias.double(),
                layer.stride, layer.padding, layer.dilation, layer.groups)
    scale = max(1, expected.abs().max().item() if expected.numel() else 1)
    close(out.double() / scale, expected / scale, dtype)
