"""A rate for every output position, beside a deformable convolution."""
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdense.analysis.benchmarks.rows import (
    RESNET,
    Row,
    Setting,
    Size,
    timed_row,
)
from mmdense.ops import adaptive_dilated_conv2d


class PixelLayer:
    """A 3x3 convolution of padding 1 with rates of positions, on operands.

    Args:
        size (Size): Of the map; as many channels come out.
        rates (int): Rates a position, g.
        setting (Setting): Gives batch and device.
        dtype (torch.dtype): Of the maps.
    """

    def __init__(self, size: Size, rates: int, setting: Setting,
                 dtype: torch.dtype = torch.float32):
        generator = torch.Generator().manual_seed(0)

        def draw(*shape):
            return torch.randn(
                shape, generator=generator).to(
                    setting.device, dtype).requires_grad_()

        self.x = draw(setting.batch, *size)
        self.weight = draw(size.channels, size.channels, 3, 3)
        self.grad = draw(setting.batch, *size).detach()
        # Off the integers, so that no kernel is spared the interpolation.
        self.rate = (0.5 + 2 * torch.rand(
            (setting.batch, rates, *size[1:]),
            generator=generator)).to(setting.device).requires_grad_()

    def plain(self) -> list[Tensor]:
        """Output and gradients of the convolution, which has no rates."""
        return self._step(F.conv2d, self.x, self.weight)

    def adaptive(self) -> list[Tensor]:
        """Those of the operator."""
        return self._step(adaptive_dilated_conv2d, self.x, self.weight,
                          self.rate)

    def deformed(self) -> list[Tensor]:
        """The same by torchvision, which wants offsets made of the rates.

        Raises:
            ImportError: If torchvision is not installed.
        """
        from torchvision.ops import deform_conv2d
        reach = torch.cartesian_prod(*[torch.arange(-1., 2.)] * 2).to(
            self.x.device)

        def convolve(x, weight, rate, padding):
            offset = (rate - 1)[:, :, None] * reach.view(-1, 1, 1)
            return deform_conv2d(
                x, offset.flatten(1, 2).to(x.dtype), weight, padding=padding)

        return self._step(convolve, self.x, self.weight, self.rate)

    def _step(self, convolve, *inputs) -> list[Tensor]:
        out = convolve(*inputs, padding=1)
        return [out, *torch.autograd.grad(out, inputs, self.grad)]


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
                    layer.deformed, layer.adaptive, 4, None, False, dtype,
                    slow=True)
        for size in setting.sizes or RESNET:
            layer = PixelLayer(size, 1, setting, dtype)
            yield timed_row(
                setting, f'ADC, a rate a pixel / conv2d, {step}', size,
                layer.adaptive, layer.plain, dtype=dtype)
