"""DWSGConv, rearrangement and the Flattening Module against the paper."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdense.modules.flattening import (
    DepthwiseSeparableGroupConv,
    FlatteningModule,
    RegularConv,
)
from mmdense.modules.rearrangement import (
    KINDS,
    Rearrangement,
    channel_shuffle,
    fold,
    unfold,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_channel_shuffle_deals_groups_out():
    x = torch.arange(6.).reshape(1, 6, 1, 1)
    # three groups of two: (0 1)(2 3)(4 5)
    assert channel_shuffle(x, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_channel_shuffle_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match='6 channels, got 4'):
        channel_shuffle(torch.zeros(1, 6, 1, 1), 4)


def test_unfold_places_each_descriptor_by_its_position():
    upscale, c, h, w = 2, 3, 2, 5
    x = randn(2, upscale**2 * c, h, w)
    expected = torch.empty(2, c, h * upscale, w * upscale, dtype=x.dtype)
    for row in range(h * upscale):
        for column in range(w * upscale):
            i, a = divmod(row, upscale)
            j, b = divmod(column, upscale)
            first = (a * upscale + b) * c
            expected[:, :, row, column] = x[:, first:first + c, i, j]
    assert torch.equal(unfold(x, upscale), expected)


def test_unfold_is_channel_shuffle_then_pixel_shuffle():
    x = randn(2, 18, 4, 5)
    assert torch.equal(unfold(x, 3), F.pixel_shuffle(channel_shuffle(x, 9), 3))


def test_fold_undoes_unfold():
    x, y = randn(2, 18, 4, 5), randn(2, 3, 6, 9)
    assert torch.equal(fold(unfold(x, 3), 3), x)
    assert torch.equal(unfold(fold(y, 3), 3), y)


def test_fold_and_unfold_refuse_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match='divisible by upscale 2, got 4 x 5'):
        fold(torch.zeros(1, 2, 4, 5), 2)
    with pytest.raises(ValueError, match='multiple of 4 for upscale 2, got 6'):
        unfold(torch.zeros(1, 6, 4, 5), 2)


@pytest.mark.parametrize('kind', KINDS)
def test_position_major_then_unfold_is_the_rearrangement(kind):
    layer = Rearrangement(16, 2, kind)
    x = randn(2, 16, 3, 5)
    assert torch.equal(layer(x), unfold(layer.position_major(x), 2))


@pytest.mark.parametrize('kind', KINDS)
def test_rearrangement_moves_elements_and_changes_none(kind):
    x = torch.arange(16 * 3 * 5.).reshape(1, 16, 3, 5)
    y = Rearrangement(16, 2, kind)(x)
    assert y.shape == (1, 4, 6, 10)
    assert torch.equal(y.flatten().sort().values, x.flatten())


def test_the_three_kinds_differ():
    x = randn(1, 16, 3, 5)
    first, second, third = (Rearrangement(16, 2, kind)(x) for kind in KINDS)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    assert torch.equal(second, F.pixel_shuffle(x, 2))


def test_permutation_comes_from_the_seed_and_is_saved():
    first = Rearrangement(16, 2, 'random_permutation', seed=3)
    again = Rearrangement(16, 2, 'random_permutation', seed=3)
    other = Rearrangement(16, 2, 'random_permutation', seed=4)
    assert torch.equal(first.permutation, again.permutation)
    assert not torch.equal(first.permutation, other.permutation)
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.permutation, other.permutation)


def test_permutation_does_not_touch_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    Rearrangement(16, 2, 'random_permutation', seed=3)
    assert torch.equal(torch.rand(1), expected)


def test_rearrangement_names_the_upscales_that_work():
    with pytest.raises(ValueError, match=r'got 72; .*with 72: \[1, 2, 3, 6\]'):
        Rearrangement(72, 5)
    with pytest.raises(ValueError, match="kind of .*got 'shuffle'"):
        Rearrangement(16, 2, 'shuffle')


@pytest.mark.parametrize(
    'arguments, expected',
    [
        # Table II with the batch norms (and the slopes of PReLU).
        (dict(groups_first=32, groups_second=64), 229_376),
        (dict(groups_first=32, groups_second=64, activation='ReLU'), 227_328),
        (dict(groups_first=32, groups_second=64, multiplier=8), 716_800),
    ])
def test_layer_has_the_parameters_of_table_2(arguments, expected):
    with torch.device('meta'):
        layer = DepthwiseSeparableGroupConv(2048, **arguments)
    assert count(layer) == expected


def test_regular_convolution_has_the_parameters_of_table_2():
    with torch.device('meta'):
        layer = RegularConv(2048)
    # the paper's 4.19 M leaves the batch norm out
    assert count(layer.conv) == 4_194_304
    assert count(layer) == 4_194_304 + 2 * 2048


def test_segmentation_module_has_the_parameters_of_table_7():
    layers = [
        dict(groups_first=g1, groups_second=64, kernel_size=7, multiplier=2)
        for g1 in (32, 64)
    ]
    with torch.device('meta'):
        module = FlatteningModule(2048, 8, layers)
    assert count(module) == 1_404_928
    assert module.out_channels == 128


def layer_by_loops(layer, x):
    """Eval-mode layer from the text of Section III-B.1, group by group."""

    def norm(x, bn):
        scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        shift = bn.bias - bn.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def pointwise(x, conv):
        groups = conv.groups
        each_in = x.shape[1] // groups
        each_out = conv.out_channels // groups
        weight = conv.weight[:, :, 0, 0]
        parts = []
        for g in range(groups):
            part = x[:, g * each_in:(g + 1) * each_in]
            w = weight[g * each_out:(g + 1) * each_out]
            parts.append(torch.einsum('oc,nchw->nohw', w, part))
        return torch.cat(parts, 1)

    k, s = layer.depthwise.kernel_size[0], layer.depthwise.stride[0]
    n, c, h, w = x.shape
    padded = F.pad(x, [k // 2] * 4)
    y = torch.zeros(n, c, -(-h // s), -(-w // s), dtype=x.dtype)
    for i in range(k):
        for j in range(k):
            tap = padded[:, :, i:i + h:s, j:j + w:s]
            y = y + tap * layer.depthwise.weight[:, 0, i, j][:, None, None]
    y = norm(y, layer.depthwise_norm)
    y = norm(pointwise(y, layer.first), layer.first_norm)
    if isinstance(layer.activation, nn.PReLU):
        y = torch.where(y > 0, y, layer.activation.weight[:, None, None] * y)
    else:
        y = y.clamp(min=0)
    g = layer.groups_first
    order = [i * (c // g) + j for j in range(c // g) for i in range(g)]
    y = norm(pointwise(y[:, order], layer.second), layer.second_norm)
    return y.clamp(min=0)


@pytest.mark.parametrize('arguments', [
    dict(groups_first=2, groups_second=6),
    dict(groups_first=6, groups_second=2, kernel_size=5, stride=2),
    dict(groups_first=3, groups_second=4, multiplier=2, activation='ReLU'),
])
def test_layer_computes_what_section_3b_says(arguments):
    torch.manual_seed(0)
    layer = DepthwiseSeparableGroupConv(12, **arguments).double().eval()
    for norm in (layer.depthwise_norm, layer.first_norm, layer.second_norm):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 1.5)
    if 'activation' not in arguments:
        nn.init.uniform_(layer.activation.weight, 0.1, 0.9)
    x = randn(2, 12, 5, 7)
    torch.testing.assert_close(layer(x), layer_by_loops(layer, x))


def reach(layer, channels):
    """Which inputs a change of moves which outputs, (in, out) of bool."""
    x = randn(1, channels, 3, 3).requires_grad_()
    y = layer(x)
    rows = [
        torch.autograd.grad(y[:, o].sum(), x, retain_graph=True)[0].abs().sum(
            (0, 2, 3)) > 0 for o in range(y.shape[1])
    ]
    return torch.stack(rows, 1)


def test_complementary_groups_make_every_output_see_every_input():
    layer = DepthwiseSeparableGroupConv(24, 4, 6).double().eval()
    layer.relu = nn.Identity()  # a dead output would hide its inputs
    assert reach(layer, 24).all()


def test_without_the_shuffle_groups_would_not_mix(monkeypatch):
    monkeypatch.setattr('mmdense.modules.flattening.channel_shuffle',
                        lambda x, groups: x)
    layer = DepthwiseSeparableGroupConv(24, 4, 6).double().eval()
    layer.relu = nn.Identity()
    assert not reach(layer, 24).all()


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('groups', [(4, 6), (2, 6), (4, 4), (1, 24)])
def test_groups_that_multiply_to_at_most_the_channels_are_dense(groups):
    layer = DepthwiseSeparableGroupConv(24, *groups).double().eval()
    layer.relu = nn.Identity()
    assert reach(layer, 24).all()


@pytest.mark.parametrize('groups, seen', [((6, 8), 12), ((4, 8), 18),
                                          ((24, 24), 1), ((12, 3), 16)])
def test_more_groups_warn_of_the_inputs_no_output_sees(groups, seen):
    product = groups[0] * groups[1]
    with pytest.warns(UserWarning, match=(
            r'at most in_channels=24, got .* = '
            rf'{product}; each output sees {seen} of the 24')):
        layer = DepthwiseSeparableGroupConv(24, *groups).double().eval()
    layer.relu = nn.Identity()
    assert (reach(layer, 24).sum(0) == seen).all()


def test_the_norm_reaches_every_layer():
    module = FlatteningModule(
        16, 2, [dict(groups_first=4, groups_second=4), dict(regular=True)],
        norm=lambda channels: nn.GroupNorm(2, channels))
    norms = [m for m in module.modules() if isinstance(m, nn.GroupNorm)]
    assert len(norms) == 4
    assert not [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    plain = FlatteningModule(
        16, 2, [dict(groups_first=4, groups_second=4)],
        norm=lambda channels: nn.InstanceNorm2d(channels))
    assert plain(randn(1, 16, 3, 5).float()).shape == (1, 4, 6, 10)


@pytest.mark.parametrize('arguments, message', [
    (dict(groups_first=30, groups_second=64),
     'groups_first=30 does not divide the 2048 channels; .*: 16 and 32'),
    (dict(groups_first=32, groups_second=100),
     'groups_second=100 .* 2048 channels; .*: 64 and 128'),
    (dict(groups_first=4096, groups_second=64),
     'groups_first=4096 .*that do: 2048$'),
    (dict(groups_first=0, groups_second=64), 'groups_first must be .* got 0'),
    (dict(groups_first=32, groups_second=64, kernel_size=4),
     'kernel_size must be a positive odd number, got 4'),
    (dict(groups_first=32, groups_second=64, stride=0), 'stride .* got 0'),
    (dict(groups_first=32, groups_second=64, multiplier=0),
     'multiplier .* got 0'),
    (dict(groups_first=32, groups_second=64, activation='GELU'),
     "'PReLU' or 'ReLU', got 'GELU'"),
])
def test_layer_refuses_numbers_that_do_not_fit(arguments, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        DepthwiseSeparableGroupConv(2048, **arguments)


def test_module_refuses_no_layers_and_unknown_arguments():
    with pytest.raises(ValueError, match='at least one layer'):
        FlatteningModule(64, 4, [])
    with pytest.raises(TypeError, match='groups_frist'):
        FlatteningModule(64, 4, [dict(groups_frist=4, groups_second=16)])
    with pytest.raises(TypeError, match='groups_first'):
        FlatteningModule(64, 4, [dict(regular=True, groups_first=4)])


def test_module_refuses_other_channels_than_it_was_made_for():
    module = FlatteningModule(16, 2, [dict(groups_first=4, groups_second=4)])
    with pytest.raises(ValueError, match=r'\(N, 16, H, W\).* got \(1, 8'):
        module(torch.zeros(1, 8, 3, 3))


def test_stacked_strided_layers_give_the_fine_size():
    layers = [
        dict(groups_first=4, groups_second=4, stride=2, multiplier=4),
        dict(groups_first=8, groups_second=8, stride=2, multiplier=4)
    ]
    module = FlatteningModule(16, 16, layers).eval()
    assert module.out_channels == 1
    # stride 4 down, grid of 16 up
    assert module(torch.zeros(1, 16, 8, 12)).shape == (1, 1, 32, 48)


@pytest.mark.parametrize('kind', KINDS)
def test_unfolding_the_coarse_output_gives_the_fine_one(kind):
    module = FlatteningModule(
        16, 2, [dict(groups_first=4, groups_second=4)], rearrangement=kind)
    module = module.double().eval()
    x = randn(2, 16, 3, 5)
    assert torch.equal(unfold(module.coarse(x), 2), module(x))


def test_every_argument_reaches_the_inner_layer():
    module = FlatteningModule(
        16,
        2, [
            dict(
                groups_first=2,
                groups_second=8,
                kernel_size=5,
                stride=2,
                multiplier=4,
                activation='ReLU'),
            dict(regular=True, multiplier=2)
        ],
        rearrangement='random_permutation',
        seed=7)
    layer, regular = module.layers
    assert layer.depthwise.kernel_size == (5, 5)
    assert layer.depthwise.stride == (2, 2)
    assert layer.first.groups == 2 and layer.second.groups == 8
    assert layer.second.out_channels == 64
    assert isinstance(layer.activation, nn.ReLU)
    assert regular.conv.out_channels == 128
    expected = Rearrangement(128, 2, 'random_permutation', 7).permutation
    assert torch.equal(module.rearrangement.permutation, expected)


def test_init_weights_sets_slopes_to_one_and_keeps_variance():
    torch.manual_seed(0)
    module = FlatteningModule(
        256, 4, [dict(groups_first=16, groups_second=16)])
    layer = module.layers[0]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.25)
    module.init_weights()
    assert torch.equal(layer.activation.weight, torch.ones(256))
    assert torch.equal(layer.second_norm.weight, torch.ones(256))
    assert torch.equal(layer.second_norm.bias, torch.zeros(256))
    # fan-in of a group: 9 taps, 16 channels
    assert layer.depthwise.weight.std().item() == pytest.approx(1 / 3, rel=.1)
    assert layer.first.weight.std().item() == pytest.approx(1 / 4, rel=.1)


def test_gradients_reach_every_parameter():
    module = FlatteningModule(
        16, 2, [dict(groups_first=4, groups_second=4)]).double()
    module(randn(3, 16, 4, 5)).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_runs_compiled_without_a_graph_break():
    module = FlatteningModule(16, 2, [dict(groups_first=4, groups_second=4)],
                              'random_permutation').eval()
    x = torch.zeros(1, 16, 3, 5)
    compiled = torch.compile(module, backend='eager', fullgraph=True)
    assert torch.equal(compiled(x), module(x))
