"""Rates of toy networks whose dependence on size is known."""
import numpy as np
import pytest
import torch
from torch import nn

from mmdense.analysis import dilation_rates
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d


def network():
    """Two layers; of the first, rate 0 grows with the input's mean."""
    model = nn.Sequential(
        AdaptiveDilatedConv2d(1, 2, 3, padding=1, bias=False),
        AdaptiveDilatedConv2d(2, 1, 3, padding=1, groups_of_rates=1))
    first = model[0].rate_regression
    nn.init.ones_(first.fc1.weight)
    nn.init.zeros_(first.fc1.bias)
    nn.init.ones_(first.fc2.weight)
    return model


def batches():
    """Areas, and images whose mean is a thousandth of the area."""
    for areas in ([100., 1000., 1024.], [9000., 20000.]):
        image = torch.tensor(areas)[:, None, None, None] / 1000
        yield areas, image.expand(-1, 1, 4, 6)


def run(model):

    def forward(batch):
        areas, image = batch
        model(image)
        return areas

    return dilation_rates.measure(model, batches(), forward)


def test_rates_are_averaged_by_size():
    found = run(network())
    assert found.layers == ['0', '1']
    assert found.people().tolist() == [2, 2, 1]
    # Small: 1 + (0.1 + 1) / 2; medium: 1 + (1.024 + 9) / 2; large: 1 + 20.
    np.testing.assert_allclose(
        found.channel_means[0][:, 0], [1.55, 6.012, 21], rtol=1e-6)
    np.testing.assert_allclose(
        found.channel_stds[0][:, 0], [0.45, 3.988, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.channel_means[1], 1)
    np.testing.assert_allclose(found.layer_means()[:, 1], 1)


def test_the_rank_correlation_is_one_where_the_rate_grows_with_area():
    overall, by_layer = run(network()).correlations()
    assert overall == pytest.approx(1)
    assert by_layer[0] == pytest.approx(1)
    assert np.isnan(by_layer[1])


@pytest.mark.parametrize('a, b, expected', [
    ([1, 2, 3], [10, 20, 1000], 1),
    ([1, 2, 3], [3, 2, 1], -1),
    ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),
    # Ties share the mean of their ranks: 1, 2.5, 2.5, 4.
    ([1, 2, 3, 4], [1, 5, 5, 9], 0.9486832980505138),
])
def test_rank_correlation(a, b, expected):
    assert dilation_rates.rank_correlation(a, b) == pytest.approx(expected)


def test_a_group_without_persons_is_left_blank():
    found = run(network())
    found.areas[-1] = 9000
    found.channel_means[0][2] = found.channel_means[1][2] = np.nan
    assert '| 0 | 1 | 1.550 | 6.012 | - | ' in dilation_rates.table(found)
    assert dilation_rates.as_json(found)['layers']['0']['mean'][2] is None


def test_recording_ends_with_the_block():
    model = network()
    x = torch.ones(1, 1, 4, 6)
    with dilation_rates.recorded_rates(model) as rates:
        model(x)
    assert rates['0'].tolist() == [[2.0]]
    model(2 * x)
    assert rates['0'].tolist() == [[2.0]]
    assert not any(m._forward_hooks for m in model.modules())


def test_a_network_without_rates_is_refused():
    with pytest.raises(ValueError, match='Conv2d has no adaptive dilated'):
        with dilation_rates.recorded_rates(nn.Conv2d(1, 1, 1)):
            pass


def test_nobody_is_refused():
    with pytest.raises(ValueError, match='nobody in the data set'):
        dilation_rates.measure(network(), [], None)
