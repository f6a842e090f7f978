"""FlatteningNeck: feature tuples in and out, values that survive a host."""
import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.model import BaseModule  # noqa: E402

from mmdense.adapters.flattening_neck import FlatteningNeck  # noqa: E402
from mmdense.modules.rearrangement import unfold  # noqa: E402
from mmdense.registry import MODELS  # noqa: E402

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
            ValueError, match=r'in_channels=16 at in_index=0.*\(2, 8, 6, 8\)'):
        neck(feats())
    neck = MODELS.build(dict(CONFIG, in_index=2))
    with pytest.raises(ValueError, match='in_index=2, the backbone gives 2'):
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
