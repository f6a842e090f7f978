"""Predictors and the U-shape that feeds them."""
import pytest
import torch
from torch.nn import functional as F

from mmdense.modules.global_net import GlobalNet
from mmdense.modules.keypoint_predictor import KeypointPredictor


def test_global_net_adds_the_coarse_to_the_fine():
    net = GlobalNet([3, 5], 4, groups=2)
    fine, coarse = torch.randn(1, 3, 8, 6), torch.randn(1, 5, 4, 3)
    first, second = net([fine, coarse])
    torch.testing.assert_close(first, net.laterals[1](coarse))
    up = F.interpolate(first, scale_factor=2, mode='bilinear')
    torch.testing.assert_close(second,
                               net.laterals[0](fine) + net.downs[0](up))


def test_global_net_has_no_biases_but_the_norms():
    net = GlobalNet([3, 5], 4, groups=2)
    count = sum(p.numel() for p in net.parameters())
    assert count == 3 * 4 + 5 * 4 + 4 * 4 + 3 * 8


@pytest.mark.parametrize('enlarge, at', [('features', (8, 6)),
                                         ('heatmaps', (4, 3))])
def test_the_last_convolution_runs_before_or_after_enlarging(enlarge, at):
    predictor = KeypointPredictor(
        5, 2, channels=4, reduce=True, enlarge=enlarge, groups=2)
    seen = []
    predictor.score[0].register_forward_hook(
        lambda module, inputs, output: seen.append(output.shape[2:]))
    out = predictor(torch.randn(1, 5, 4, 3), torch.empty(1, 1, 8, 6))
    assert out.shape == (1, 2, 8, 6)
    assert tuple(seen[0]) == at


def test_heatmaps_start_as_faint_as_targets():
    predictor = KeypointPredictor(4, 3, channels=4, groups=2)
    out = predictor(torch.randn(4, 4, 16, 12), torch.empty(1, 1, 16, 12))
    assert out.std() < 0.06


@pytest.mark.parametrize('options, message', [
    (dict(enlarge='both'), 'enlarge must be one of'),
    (dict(), 'in_channels must be channels=4 without reduce, got 5'),
])
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        KeypointPredictor(5, 2, channels=4, groups=2, **options)
