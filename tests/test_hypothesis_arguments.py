"""Any arguments: a right result, or an error that names the argument."""
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from any_arguments import (
    ANY_MAP,
    DTYPES,
    FLAG,
    MAYBE_MAP,
    ODD_SIDE,
    SIZE,
    WRONG,
    close,
    number,
    parameters_of,
    profile,
    refusal_names,
    tensor,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdense.modules import rearrangement
from mmdense.modules.adaptive_dilated_conv import (
    AdaptiveDilatedConv2d,
    DilationRateRegression,
    StaticDilationRates,
)
from mmdense.modules.feature_pyramid_attention import FeaturePyramidAttention
from mmdense.modules.feature_shift import (
    ChannelShift,
    CorrelationAttention,
    FeatureShiftModule,
)
from mmdense.modules.flattening import (
    DepthwiseSeparableGroupConv,
    FlatteningModule,
    RegularConv,
)
from mmdense.modules.global_attention_upsample import GlobalAttentionUpsample
from mmdense.modules.global_net import GlobalNet
from mmdense.modules.keypoint_predictor import KeypointPredictor
from mmdense.modules.squeeze_excite_attention import SqueezeExciteAttention
from mmdense.ops import adaptive_dilated_conv2d, channel_shift, use_backend

# torch's group norm refuses a single value.
HEIGHT = st.integers(2, 7)


@settings(profile)
@given(
    st.integers(0, 3), st.integers(1, 3), SIZE, SIZE, st.integers(1, 3),
    st.sampled_from([1, 3, 5]), st.sampled_from([1, 3]), st.integers(1, 3),
    st.integers(0, 4), st.integers(1, 3), st.integers(0, 99), DTYPES,
    st.booleans(), st.booleans(), st.booleans())
def test_adaptive_convolution_is_its_reference(n, groups, h, w, out, kh, kw,
                                               stride, padding, dilation,
                                               seed, dtype, bias, last,
                                               pixels):
    x = tensor((n, 2 * groups, h, w), seed, dtype)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    weight = tensor((out * groups, 2, kh, kw), seed + 1, dtype)
    size = [max(1, (s + 2 * padding - dilation * (k - 1) - 1) // stride + 1)
            for s, k in ((h, kh), (w, kw))] if pixels else []
    rate = tensor((n, groups, *size), seed + 2).abs() * 3
    b = tensor((out * groups, ), seed + 3, dtype) if bias else None
    arguments = (b, stride, padding, dilation, groups)
    try:
        ours = adaptive_dilated_conv2d(x, weight, rate, *arguments)
    except ValueError as error:
        assert (h + 2 * padding < dilation * (kh - 1) + 1
                or w + 2 * padding < dilation * (kw - 1) + 1), error
        return
    with use_backend('reference'):
        close(ours, adaptive_dilated_conv2d(x, weight, rate, *arguments),
              dtype)
    ones = adaptive_dilated_conv2d(x, weight, torch.ones_like(rate),
                                   *arguments)
    plain = F.conv2d(x.double(), weight.double(),
                     b.double() if bias else None, *arguments[1:])
    scale = max(1, plain.abs().max().item() if plain.numel() else 1)
    close(ones.double() / scale, plain / scale, dtype)


@settings(profile)
@given(
    st.integers(0, 3), st.integers(1, 4), st.integers(0, 9),
    st.integers(0, 9), st.integers(0, 99), DTYPES, st.booleans(),
    st.sampled_from([1., 30., float('inf'), float('nan')]))
def test_shift_is_its_reference(n, c, h, w, seed, dtype, own, scale):
    x = tensor((n, c, h, w), seed, dtype)
    offset = tensor((n, c, 2) if own else (c, 2), seed + 1) * scale
    ours = channel_shift(x, offset)
    with use_backend('reference'):
        close(ours, channel_shift(x, offset), dtype)
    # A whole shift moves the rows, and lets zeros in.
    down = channel_shift(x, torch.tensor([[-1., 0.]]).repeat(c, 1))
    assert torch.equal(down[:, :, 1:], x[:, :, :-1])
    assert not down[:, :, :1].any()


@settings(profile)
@given(
    st.sampled_from([adaptive_dilated_conv2d, channel_shift]), MAYBE_MAP,
    MAYBE_MAP, MAYBE_MAP, MAYBE_MAP, number(1, 3), number(0, 3),
    number(1, 3), number(1, 2))
def test_an_operator_names_what_it_cannot_take(operator, x, second, rate,
                                               bias, stride, padding,
                                               dilation, groups):
    arguments = (x, second)
    if operator is adaptive_dilated_conv2d:
        arguments += (rate, bias, stride, padding, dilation, groups)
    try:
        out = operator(*arguments)
    except (TypeError, ValueError) as error:
        refusal_names(error, parameters_of(operator) | {'kernel'})
    else:
        assert out.dtype == x.dtype and out.shape[0] == x.shape[0]


CHANNELS = number(1, 8)


@settings(profile)
@given(ANY_MAP, number(1, 4))
def test_rearranging_loses_nothing(x, parts):
    for function in (rearrangement.channel_shuffle, rearrangement.unfold,
                     rearrangement.fold):
        try:
            out = function(x, parts)
        except (TypeError, ValueError) as error:
            refusal_names(error, parameters_of(function))
            continue
        assert torch.equal(out.flatten().sort()[0], x.flatten().sort()[0])
        if function is rearrangement.unfold:
            assert torch.equal(rearrangement.fold(out, parts), x)


ODD = st.one_of(*[ODD_SIDE] * 4, WRONG, st.just(2))
NORM = st.sampled_from(
    [nn.BatchNorm2d, nn.BatchNorm2d, partial(nn.GroupNorm, 1), 3])
LAYER = st.fixed_dictionaries(
    dict(groups_first=number(1, 4), groups_second=number(1, 4)),
    optional=dict(kernel_size=ODD, stride=number(1, 2),
                  multiplier=number(1, 4),
                  activation=st.sampled_from(['PReLU', 'ReLU', 'Swish'])))
# What each module is built from, and how many channels its maps have.
MODULES = {
    DilationRateRegression: dict(
        channels=CHANNELS, groups_of_rates=number(1, 4),
        hidden_ratio=st.one_of(st.sampled_from([1 / 16, 1]), WRONG),
        rate_bounds=st.sampled_from(
            [None, None, (0.5, 2), (2, 3), (1, ), 'ab', 3, (None, 2)]),
        negative_slope=st.sampled_from([0, 0.1, 2, 'a'])),
    StaticDilationRates: dict(
        channels=CHANNELS, groups_of_rates=number(1, 4)),
    AdaptiveDilatedConv2d: dict(
        in_channels=CHANNELS, out_channels=CHANNELS, kernel_size=ODD,
        stride=number(1, 2), padding=number(0, 4), dilation=number(1, 2),
        groups=number(1, 2), bias=FLAG,
        padding_mode=st.sampled_from(['zeros', 'zeros', 'reflect']),
        groups_of_rates=st.one_of(st.none(), number(1, 4)),
        hidden_ratio=st.sampled_from([1 / 16, 1 / 16, 0.5, 'a']),
        rate_bounds=st.sampled_from([None, None, (0.5, 2), (2, 1)]),
        negative_slope=st.sampled_from([0, 0.1, -1]),
        regress=st.sampled_from([True, False, 1])),
    ChannelShift: dict(
        channels=CHANNELS,
        std=st.one_of(st.sampled_from([0, 0.5, 1.]), WRONG),
        kind=st.sampled_from(['learned', 'fixed', 'whole', 'still', None])),
    CorrelationAttention: dict(
        channels=CHANNELS, shift_channels=CHANNELS,
        kind=st.sampled_from(['softplus', 'sigmoid', 'softmax', None])),
    FeatureShiftModule: dict(
        channels=CHANNELS, shift_channels=CHANNELS,
        attention=st.sampled_from(['softplus', 'sigmoid', None, 'softmax']),
        shifting=FLAG,
        offset_std=st.sampled_from([0, 1., 1., 2.5, -1, 'a']),
        offset_kind=st.sampled_from(['learned', 'fixed', 'whole', 3])),
    DepthwiseSeparableGroupConv: dict(
        in_channels=CHANNELS, groups_first=number(1, 4),
        groups_second=number(1, 4), kernel_size=ODD, stride=number(1, 2),
        multiplier=number(1, 3),
        activation=st.sampled_from(['PReLU', 'ReLU', 'Swish'])),
    RegularConv: dict(in_channels=CHANNELS, multiplier=number(1, 3)),
    FlatteningModule: dict(
        in_channels=st.sampled_from([4, 8, 16]), upscale=number(1, 3),
        layers=st.one_of(*[st.lists(LAYER, max_size=2)] * 4, WRONG),
        rearrangement=st.sampled_from([*rearrangement.KINDS, 'shuffle']),
        seed=st.sampled_from([0, 1, 2**40, -1, 'a'])),
    rearrangement.Rearrangement: dict(
        channels=st.sampled_from([4, 8, 16, 18]), upscale=number(1, 3),
        kind=st.sampled_from([*rearrangement.KINDS, 'shuffle']),
        seed=st.sampled_from([0, 1, None, 2**70])),
    FeaturePyramidAttention: dict(
        in_channels=CHANNELS, out_channels=CHANNELS,
        pyramid_channels=CHANNELS,
        kernel_sizes=st.one_of(*[st.lists(ODD, max_size=3)] * 4, WRONG),
        pooling=st.sampled_from(['average', 'max', 'min']),
        global_pooling=FLAG, align_corners=FLAG, multiply=FLAG, norm=NORM),
    SqueezeExciteAttention: dict(
        in_channels=CHANNELS, out_channels=CHANNELS, reduction=number(1, 8),
        norm=NORM),
    GlobalAttentionUpsample: dict(
        low_channels=CHANNELS, high_channels=CHANNELS, out_channels=CHANNELS,
        kernel_size=ODD, global_context=FLAG, align_corners=FLAG, norm=NORM),
    GlobalNet: dict(
        in_channels=st.one_of(*[st.lists(CHANNELS, max_size=3)] * 4, WRONG),
        out_channels=CHANNELS,
        groups=number(1, 4)),
    KeypointPredictor: dict(
        in_channels=CHANNELS, out_channels=CHANNELS, channels=CHANNELS,
        reduce=FLAG, enlarge=st.sampled_from(['heatmaps', 'features', 'x']),
        groups=number(1, 4)),
}


@st.composite
def built(draw):
    """A module or None, refused with an argument's name."""
    kind = draw(st.sampled_from(sorted(MODULES, key=lambda k: k.__name__)))
    given = {name: draw(value) for name, value in MODULES[kind].items()}
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return kind(**given).eval(), given
    except (TypeError, ValueError) as error:
        refusal_names(error, parameters_of(kind) | {'kernel_size'})
        return None, given


def maps_for(module, given, n, h, w, seed):
    """The inputs a module wants."""
    if isinstance(module, GlobalNet):
        return [[tensor((n, c, max(2, h >> i), max(1, w >> i)), seed + i)
                 for i, c in enumerate(given['in_channels'])]]
    if isinstance(module, GlobalAttentionUpsample):
        return [tensor((n, given['low_channels'], h, w), seed),
                tensor((n, given['high_channels'], w, h), seed + 1)]
    channels = given.get('in_channels', given.get('channels'))
    x = tensor((n, channels, h, w), seed)
    if isinstance(module, KeypointPredictor):
        return [x, tensor((n, 1, w + 1, h), seed)]
    return [x]


def first(maps, index):
    return [[x[index] for x in m] if isinstance(m, list) else m[index]
            for m in maps]


@settings(profile)
@given(built(), st.integers(2, 3), HEIGHT, SIZE, st.integers(0, 99))
def test_each_sample_is_computed_alone(case, n, h, w, seed):
    """What a module gives one sample does not depend on the others."""
    module, given = case
    if module is None:
        return
    maps = maps_for(module, given, n, h, w, seed)
    with torch.no_grad():
        try:
            whole = module(*maps)
        except ValueError as error:
            # A kernel wider than map and padding.
            assert isinstance(module, AdaptiveDilatedConv2d)
            refusal_names(error, ['padding'])
            return
        alone = module(*first(maps, slice(1)))
    whole, alone = ([o] if isinstance(o, torch.Tensor) else o
                    for o in (whole, alone))
    for a, b in zip(whole, alone, strict=True):
        assert torch.isfinite(a).all()
        close(a[:1], b)


@settings(profile)
@given(built(), st.lists(st.one_of(MAYBE_MAP, ANY_MAP), min_size=1,
                         max_size=2))
def test_a_module_names_what_it_cannot_take(case, maps):
    module, given = case
    if module is None:
        return
    names = parameters_of(module.forward)
    if len(names) != len(maps):
        maps = (maps * 2)[:len(names)]
    if isinstance(module, GlobalNet):
        maps = [maps]
    with torch.no_grad():
        try:
            module.double()(*[
                m.double() if isinstance(m, torch.Tensor)
                and m.is_floating_point() else m for m in maps
            ] if not isinstance(module, GlobalNet) else [[
                m.double() if isinstance(m, torch.Tensor)
                and m.is_floating_point() else m for m in maps[0]]])
        except (TypeError, ValueError) as error:
            refusal_names(error, names)


@settings(profile)
@given(built(), st.sampled_from(['state', 'last', 'grad']), HEIGHT, SIZE)
def test_a_module_loads_and_trains(case, what, h, w):
    module, given = case
    if module is None:
        return
    maps = maps_for(module, given, 2, h, w, 0)
    try:
        with torch.no_grad():
            before = module(*maps)
    except ValueError as error:
        refusal_names(error, ['padding'])
        return
    if what == 'grad':
        leaves = [x.requires_grad_() for m in maps
                  for x in (m if isinstance(m, list) else [m])]
        out = module(*maps)
        out = [out] if isinstance(out, torch.Tensor) else out
        sum(o.square().sum() for o in out).backward()
        assert all(torch.isfinite(p.grad).all()
                   for p in [*leaves, *module.parameters()]
                   if p.grad is not None)
        return
    if what == 'last':
        maps = [[x.contiguous(memory_format=torch.channels_last) for x in m]
                if isinstance(m, list) else
                m.contiguous(memory_format=torch.channels_last)
                for m in maps]
    else:
        with torch.random.fork_rng():
            other = type(module)(**given).eval()
        other.load_state_dict(module.state_dict())
        module = other
    with torch.no_grad():
        after = module(*maps)
    before, after = ([o] if isinstance(o, torch.Tensor) else o
                     for o in (before, after))
    for a, b in zip(before, after, strict=True):
        close(a, b)


ADAPTERS = st.sampled_from(['neck', 'global', 'replace', 'shift'])


def test_an_adapter_names_what_it_cannot_take():
    pytest.importorskip('mmcv')
    # Every host is imported by the first type built: not in an example.
    from mmdense.registry import MODELS
    MODELS.get('AdaptiveDilatedConv2d')
    adapt_anything()


@settings(profile)
@given(ADAPTERS, CHANNELS, number(1, 3), st.lists(LAYER, max_size=2),
       number(-3, 3), st.one_of(
           *[st.lists(st.one_of(ANY_MAP, MAYBE_MAP), max_size=3)] * 4, WRONG),
       st.sampled_from([r'.*', r'layer1\.0\.conv2', 'conv1', 'none', 'bn1']),
       st.sampled_from([None, 1, 4, 5, 'a']), number(0, 3))
def adapt_anything(adapter, channels, upscale, layers, index, feats, pattern,
                   groups, early):
    from mmdense.adapters.flattening_neck import FlatteningNeck
    from mmdense.adapters.global_neck import GlobalNeck
    from mmdense.adapters.insert_shift import insert_feature_shift
    from mmdense.adapters.replace_conv import replace_conv
    try:
        if adapter == 'neck':
            neck = FlatteningNeck(channels, upscale, layers, in_index=index)
            out, = neck.eval()(feats)
            assert out.shape[1] == neck.out_channels
        elif adapter == 'global':
            stages = len(feats) if isinstance(feats, list) else 2
            neck = GlobalNeck([channels] * stages, channels, early, 1)
            assert len(neck.eval()(feats)) == len(feats) + early
        elif adapter == 'shift':
            model = insert_feature_shift(
                dict(type=Small), dict(shift_channels=channels), pattern)
            assert any(isinstance(m, FeatureShiftModule)
                       for m in model.modules())
        else:
            model = replace_conv(
                dict(type=Small),
                dict(type='mmdense.AdaptiveDilatedConv2d',
                     groups_of_rates=groups), pattern)
            assert any(isinstance(m, AdaptiveDilatedConv2d)
                       for m in model.modules())
    except (TypeError, ValueError) as error:
        refusal_names(error, [
            'in_channels', 'upscale', 'layers', 'in_index', 'feats', 'stages',
            'pattern', 'groups', 'kernel_size', 'stride', 'multiplier',
            'activation', 'channels', 'out_channels', 'x', 'conv', 'early',
            'shift_channels'
        ])


class Small(nn.Module):
    """Stands for a host's backbone."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
