"""Scores, windows and fields of feature shifting modules are what they say."""
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdense.analysis import feature_shift, feature_shift_plots
from mmdense.modules.feature_shift import FeatureShiftModule


def module(**options):
    torch.manual_seed(0)
    net = FeatureShiftModule(3, 5, **options).eval()
    norm = net.gate_norm
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.running_mean)
    nn.init.normal_(norm.bias)
    return net


def picture():
    return torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('options', [
    dict(), dict(attention=None), dict(attention='sigmoid', shifting=False)])
def test_a_window_is_the_convolution_the_module_computes(options):
    net, x = module(**options), picture()
    with feature_shift.maps_of(net) as maps:
        net(x)
    at = feature_shift.window(net, maps, channel=2, point=(3, 4), image=1)
    total = at.bias
    for (row, column), weights in zip(at.positions, at.weights, strict=True):
        grid = torch.tensor([[[[(2 * column + 1) / 7 - 1,
                                (2 * row + 1) / 6 - 1]]]]).float()
        read = F.grid_sample(x[1:], grid, padding_mode='zeros',
                             align_corners=False)
        total += weights @ read[0, :, 0, 0].numpy()
    torch.testing.assert_close(
        float(total), float(maps['nonlocal'][1, 2, 3, 4]),
        rtol=1e-4, atol=1e-5)


def test_energy_sums_the_weights_over_input_channels():
    """Section 4.1: the sum of w, not of its square."""
    at = feature_shift.Window(
        np.zeros((2, 2)), np.array([[1., 2], [3, -7]]), 0)
    np.testing.assert_array_equal(at.energy(), [3, -4])


def test_a_picture_shows_the_size_of_an_energy(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        'matplotlib.axes.Axes.scatter',
        lambda self, *_, c=None, **__: shown.append(c))
    at = feature_shift.Window(
        np.zeros((2, 2)), np.array([[1., 2], [-9, 3]]), 0)
    feature_shift_plots.plot_fields(
        np.ones((4, 5)), [(1, 1)], [np.ones((4, 5))], [at], tmp_path / 'c.png')
    np.testing.assert_array_equal(shown[0], [0.5, 1])


def test_the_field_of_a_pure_shift_is_where_it_reads():
    net = module(attention=None)
    nn.init.constant_(net.shift.offset, 0)
    net.shift.offset.data[:] = torch.tensor([2., -1])
    with feature_shift.maps_of(net) as maps:
        net(picture().requires_grad_())
    field = feature_shift.effective_field(maps, 0, (4, 3))
    assert np.argwhere(field > 0).tolist() == [[2, 4]]


class Pose(nn.Module):
    """Two keypoints: one from tunnels 0 and 1, one from 2 (thrice) and 1."""

    def __init__(self):
        super().__init__()
        self.shift = module(attention=None, shifting=False)
        self.shift.gate_norm = nn.Identity()
        nn.init.zeros_(self.shift.beta.weight)
        self.shift.beta.weight.data[0, 0] = 1
        self.shift.beta.weight.data[0, 1] = 1
        self.shift.beta.weight.data[1, 2] = 3
        self.shift.beta.weight.data[1, 1] = 0.2
        self.shift.alpha.weight.data.abs_()
        self.shift.norm = nn.Identity()

    def forward(self, x):
        maps = self.shift(x)[:, :2]
        peak = torch.zeros_like(maps)
        peak[:, :, 2, 2] = 100
        return maps + peak


def test_a_channel_belongs_to_the_keypoint_it_serves():
    net, x = Pose(), picture()[:1].abs().requires_grad_()
    scores = feature_shift.keypoint_scores(net, net.shift, lambda: net(x))
    assert scores['shifted'].shape == (2, 5)
    own = feature_shift.related(scores['shifted'])
    assert own[:, [0, 2]].tolist() == [[True, False], [False, True]]
    assert own[:, 1].tolist() == [True, False]
    assert not own[:, 3:].any()
    assert scores['shifted'].max() == 1
    counts = feature_shift.contributions(scores)
    assert counts['shifted'].tolist() == [2, 1]
    assert counts['nonlocal'].tolist() == [1, 1]


def test_scores_follow_the_supplements_recipe():
    """Its loss, written out; one image."""
    net, x = Pose(), picture()[:1].abs().requires_grad_()
    scores = feature_shift.keypoint_scores(net, net.shift, lambda: net(x))
    expected = []
    for m in range(2):
        with feature_shift.maps_of(net.shift) as maps:
            predicted = net(x)
        pseudo = predicted.detach().clone()
        pseudo[0, m].flatten()[pseudo[0, m].argmax()] = 0
        gradient, = torch.autograd.grad(
            F.mse_loss(predicted, pseudo), maps['shifted'])
        expected.append(gradient.mean((0, 2, 3)).abs())
    expected = torch.stack(expected)
    expected = expected / expected.amax(0).clamp(min=1e-30)
    np.testing.assert_allclose(scores['shifted'], expected, rtol=1e-5)


def test_a_module_that_is_not_inserted_has_no_scores():
    net = Pose()
    net.shift.insert(False)
    with pytest.raises(ValueError, match='not inserted'):
        feature_shift.keypoint_scores(net, net.shift, lambda: None)


def test_offsets_are_gathered_by_name():
    net = nn.ModuleDict(dict(a=module(), b=module(shifting=False)))
    offsets = feature_shift.learned_offsets(net)
    assert list(offsets) == ['a'] and offsets['a'].shape == (5, 2)
    with pytest.raises(ValueError, match='no feature shifting module'):
        feature_shift.learned_offsets(nn.Linear(1, 1))


def test_pictures_are_written(tmp_path):
    at = feature_shift.Window(np.ones((2, 2)), np.ones((2, 3)), 0.)
    feature_shift_plots.plot_offsets(
        dict(a=np.ones((3, 2))), tmp_path / 'a.png')
    feature_shift_plots.plot_contributions(
        dict(input=np.array([1, 2])), ['nose', 'ear'], tmp_path / 'b.png')
    feature_shift_plots.plot_fields(
        np.ones((4, 5)), [(1, 1)], [np.ones((4, 5))], [at],
        tmp_path / 'c.png')
    assert len(list(tmp_path.glob('*.png'))) == 3
