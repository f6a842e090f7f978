"""The benchmark's rows of a rate for every output position."""
import pytest
import torch

from mmdense.analysis.benchmarks.ops import ROWS
from mmdense.analysis.benchmarks.peer_rows import torchvision_conv
from mmdense.analysis.benchmarks.pixel_rate_rows import PixelLayer
from mmdense.analysis.benchmarks.rows import Setting, Size

SETTING = Setting(torch.device('cpu'), 2, 1, (Size(4, 6, 5), ))


@pytest.mark.parametrize('rates', [1, 4])
def test_both_convolutions_of_a_ratio_give_the_same(rates):
    pytest.importorskip('torchvision.ops')
    layer = PixelLayer(SETTING.sizes[0], rates, SETTING)
    for ours, theirs in zip(layer.adaptive(), layer.deformed(torchvision_conv),
                            strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_every_figure_is_measured_and_has_its_bar():
    pytest.importorskip('torchvision.ops')
    rows = list(ROWS['pixel_rates'](SETTING))
    assert [(row.figure.split(',')[0], row.bar, row.at_most)
            for row in rows] == [
                ('torchvision deform_conv2d / ADC', 4, False)
            ] * 2 + [('ADC', None, True)]
    assert all(row.size == '4x6x5' and row.a > 0 < row.b for row in rows)
