"""A rate for every output position, beside a deformable convolution."""
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from mmdense.analysis.benchmarks.convolution_rows import Layer, taps
from mmdense.analysis.benchmarks.peer_rows import Deformable, torchvision_conv
from mmdense.analysis.benchmarks.rows import (
    RESNET,
    Row,
    Setting,
    Size,
    timed_row,
)


class PixelLayer(Layer):
    """A layer with rates of positions.

    Args:
        size (Size): Of the map; as many channels come out.
        rates (int): Rates a position, g.
        setting (Setting): Gives batch and device.
        dtype (torch.dtype): Of the maps.
    """

    def __init__(self, size: Size, rates: int, setting: Setting,
                 dtype: torch.dtype = torch.float32):
        super().__init__(
            size, setting.batch, setting.device, dtype,
            rate_shape=(rates, *size[1:]))

    def deformed(self, deformable: Deformable,
                 backward: bool = True) -> list[Tensor]:
        """The same, with the offsets made of the rates in every call."""
        reach = taps().view(-1, 1, 1).to(self.x.device)

        def convolve(x, weight, rate):
            offset = (rate - 1)[:, :, None] * reach
            return deformable(x, offset.flatten(1, 2).to(x.dtype), weight)

        return self._step(convolve, (self.x, self.weight, self.rate), backward)


def pixel_rate_rows(setting: Setting) -> Iterator[Row]:
    """With one rate a position, and one a channel, too.

    torchvision's deformable convolution over the operator; the operator over
    the plain convolution.
    """
    step = 'forward + backward'
    for dtype in setting.dtypes:
        if dtype == torch.bfloat16:
            continue  # torchvision has no kernel for it.
        for name in ('a rate a pixel', 'a rate a pixel and channel'):
            for size in setting.sizes or RESNET:
                rates = 1 if name == 'a rate a pixel' else size.channels
                layer = PixelLayer(size, rates, setting, dtype)
                yield timed_row(
                    setting,
                    f'torchvision deform_conv2d / ADC, {name}, {step}', size,
                    partial(layer.deformed, torchvision_conv), layer.adaptive,
                    4, None, False, dtype, slow=True)
        for size in setting.sizes or RESNET:
            layer = PixelLayer(size, 1, setting, dtype)
            yield timed_row(
                setting, f'ADC, a rate a pixel / conv2d, {step}', size,
                layer.adaptive, layer.plain, dtype=dtype)
