"""FlatteningNeck: feature tuples in and out, values that survive a host."""
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip('mmengine')

from mmengine.model import BaseModule  # noqa: E402

from mmdense.adapters.flattening_neck import FlatteningNeck  # noqa: E402
from mmdense.modules import once  # noqa: E402
from mmdense.modules.rearrangement import unfold  # noqa: E402
from mmdense.registry import MODELS  # noqa: E402

PAGE = Path(__file__).parents[2] / 'configs/mmpose/flattenet/README.md'
CONFIG = dict(
    type='mmdense.FlatteningNeck',
    in_channels=16,
    upscale=2,
    layers=[dict(groups_first=4, groups_second=4)])


def feats():
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, c, h, h + 2, generator=generator)
        for c, h in ((8, 6), (16, 3)))


def test_flattens_the_last_feature_into_a_tuple_of_one():
    neck = MODELS.build(CONFIG).eval()
    out = neck(feats())
    assert isinstance(out, tuple) and len(out) == 1
    assert out[0].shape == (2, 4, 6, 10)
    assert torch.equal(out[0], neck.module(feats()[-1]))
    assert neck.out_channels == 4


def test_in_index_chooses_the_feature():
    neck = MODELS.build(CONFIG).eval()
    first = MODELS.build(dict(CONFIG, in_index=0)).eval()
    first.load_state_dict(neck.state_dict())
    assert torch.equal(first(feats()[::-1])[0], neck(feats())[0])


def test_left_on_the_coarse_grid_it_holds_the_same_descriptors():
    for kind in ('channel_shuffle', 'pixel_shuffle', 'random_permutation'):
        fine = MODELS.build(dict(CONFIG, rearrangement=kind, seed=5)).eval()
        coarse = MODELS.build(
            dict(CONFIG, rearrangement=kind, rearrange=False)).eval()
        coarse.load_state_dict(fine.state_dict())
        out = coarse(feats())[0]
        assert out.shape == (2, 16, 3, 5) and coarse.out_channels == 16
        assert torch.equal(unfold(out, 2), fine(feats())[0])


def test_seed_reaches_the_permutation():
    config = dict(CONFIG, rearrangement='random_permutation')
    first, again, other = (
        MODELS.build(dict(config, seed=s)).module.rearrangement.permutation
        for s in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_says_which_channels_it_wants_and_got():
    neck = MODELS.build(dict(CONFIG, in_index=0))
    with pytest.raises(
            ValueError, match=r'in_index=0 must .*=16 .*\(2, 8, 6, 8\)'):
        neck(feats())
    neck = MODELS.build(dict(CONFIG, in_index=2))
    with pytest.raises(ValueError, match='in_index must .* 2 feat.*, got 2'):
        neck(feats())


def test_group_numbers_that_do_not_fit_are_refused_at_build():
    layers = [dict(groups_first=5, groups_second=4)]
    with pytest.raises(ValueError, match='groups_first=5 .*: 4 and 8'):
        FlatteningNeck(16, 2, layers)


def test_initial_values_survive_a_parents_init_cfg():
    """mmengine applies a parent's init_cfg to everything inside it."""

    class Head(BaseModule):

        def __init__(self):
            super().__init__([
                dict(type='Normal', layer='Conv2d', std=0.001),
                dict(type='Constant', layer=['BatchNorm2d', 'PReLU'], val=3)
            ])
            self.neck = MODELS.build(
                dict(
                    CONFIG,
                    in_channels=64,
                    layers=[dict(groups_first=8, groups_second=8)]))

    head = Head()
    head.init_weights()
    layer = head.neck.module.layers[0]
    assert torch.equal(layer.activation.weight, torch.ones(64))
    assert torch.equal(layer.first_norm.weight, torch.ones(64))
    # one over the square root of the fan-in of a group, 8
    assert layer.first.weight.std().item() == pytest.approx(.354, rel=.15)


def table():
    """Rows of the page's table of groups: integers."""
    rows = re.findall(r'^\| (\d+) \| \((\d+), (\d+)\) \| (\d+) \| (\d+) \|',
                      PAGE.read_text(), re.M)
    return [tuple(map(int, row)) for row in rows]


def test_the_pages_table_has_the_usual_widths():
    assert [row[0] for row in table()] == [256, 320, 512, 768, 1024, 2048]


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('channels, first, second, multiplier, head', table())
def test_a_row_of_the_pages_table_builds_a_dense_layer(
        channels, first, second, multiplier, head):
    neck = FlatteningNeck(
        channels, 8, [
            dict(groups_first=first, groups_second=second,
                 multiplier=multiplier)
        ], rearrange=False).eval()
    assert neck.out_channels == 64 * head
    # Slopes of 1 and no ReLU: linear, so that its answer to one input alone
    # is its gradient with respect to it.
    neck.module.layers[0].relu = nn.Identity()
    with torch.no_grad():
        answer, = neck((torch.eye(channels)[:, :, None, None], ))
    assert answer.shape == (channels, 64 * head, 1, 1)
    assert answer.all()


def test_norm_cfg_makes_every_norm_and_keeps_the_names():
    plain = MODELS.build(CONFIG)
    for norm_cfg, kind in ((dict(type='SyncBN', requires_grad=True),
                            nn.SyncBatchNorm),
                           (dict(type='GN', num_groups=2), nn.GroupNorm)):
        neck = MODELS.build(dict(CONFIG, norm_cfg=norm_cfg))
        layer = neck.module.layers[0]
        for name in ('depthwise_norm', 'first_norm', 'second_norm'):
            assert isinstance(getattr(layer, name), kind)
        names = dict(neck.named_parameters())
        assert list(names) == list(dict(plain.named_parameters()))
    frozen = MODELS.build(
        dict(CONFIG, norm_cfg=dict(type='BN', requires_grad=False)))
    assert not frozen.module.layers[0].first_norm.weight.requires_grad
    with pytest.raises(ValueError, match='norm_cfg must have a type'):
        MODELS.build(dict(CONFIG, norm_cfg=dict(num_groups=2)))


def test_the_users_init_cfg_has_the_last_word(tmp_path):
    """And what it does not name keeps the paper's values."""
    own = dict(type='Constant', layer='Conv2d', val=3)
    neck = MODELS.build(dict(CONFIG, init_cfg=own))
    neck.init_weights()
    layer = neck.module.layers[0]
    assert (layer.first.weight == 3).all() and neck.init_cfg == own
    assert (layer.activation.weight == 1).all()
    with torch.no_grad():
        layer.second.weight.fill_(5)
    # As in a network's checkpoint.
    torch.save({f'neck.{k}': v for k, v in neck.state_dict().items()},
               tmp_path / 'own.pth')
    saved = dict(type='Pretrained', checkpoint=str(tmp_path / 'own.pth'),
                 prefix='neck.')
    # mmengine's order: what was saved comes last.
    neck = MODELS.build(dict(CONFIG, init_cfg=[saved, own]))
    neck.init_weights()
    assert (neck.module.layers[0].second.weight == 5).all()


def test_the_global_necks_init_cfg_has_the_last_word():
    neck = MODELS.build(
        dict(type='mmdense.GlobalNeck', in_channels=[4, 8], out_channels=8,
             groups=4,
             init_cfg=dict(type='Constant', layer='GroupNorm', val=7)))
    neck.init_weights()
    norm = neck.global_net.laterals[0][1]
    assert (norm.weight == 7).all()


@pytest.mark.parametrize('rearrange', [True, False])
def test_dilations_left_in_the_backbone_are_named_once(rearrange):
    once._warn.cache_clear()
    neck = MODELS.build(dict(
        CONFIG, upscale=4, layers=[dict(groups_first=4, groups_second=4)],
        rearrange=rearrange))
    # Strides 4 and 8 where 4 and 16 are meant, and a plain transformer's.
    dilated = torch.randn(2, 8, 8, 8), torch.randn(2, 16, 4, 4)
    with pytest.warns(UserWarning, match='got 16 rows of 4 .* gives 8;'):
        neck(dilated)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        neck(dilated)
        once._warn.cache_clear()
        neck((torch.randn(2, 8, 16, 16), dilated[1]))
        neck((dilated[1], dilated[1]))
        neck((dilated[1], ))


def test_its_channels_are_printed_for_the_head():
    assert 'FlatteningNeck(\n  out_channels=4' in str(MODELS.build(CONFIG))
