"""Scale-adaptive convolution, with which the ADC paper compares."""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import check_map, check_pair, check_positive
from mmdense.modules.adaptive_dilated_conv import read_old_bias
from mmdense.ops import adaptive_dilated_conv2d
from mmdense.ops.adaptive_dilated_conv2d.places import output_size
from mmdense.registry import MODELS


class PixelRateConv2d(nn.Module):
    """A convolution with one output channel and a ReLU, 1 at first.

    No ``nn.Conv2d``: mmpose's ResNet and HRNet give every one of those
    random weights when they start without a checkpoint. Its bias is
    ``1 + offset``, so that weight decay pulls the rates to 1 and not to 0;
    a checkpoint that holds ``bias`` loads.

    Args:
        conv (nn.Conv2d): Convolution whose input channels, kernel, stride,
            padding and dilation it takes.

    Raises:
        TypeError: If ``conv`` is not an ``nn.Conv2d``.
    """

    def __init__(self, conv: nn.Conv2d):
        if not isinstance(conv, nn.Conv2d):
            raise TypeError(f'conv must be an nn.Conv2d, got {conv!r}')
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        self.dilation = conv.dilation
        self.weight = nn.Parameter(
            torch.zeros(1, conv.in_channels, *conv.kernel_size))
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Regress the rates.

        Args:
            x (Tensor): (N, C_in, H, W).

        Returns:
            Tensor: (N, 1, H_out, W_out), the map ``conv`` would give;
            float32 under autocast too, since positions are read off it.
        """
        with torch.autocast(x.device.type, enabled=False):
            rate = F.conv2d(
                x.to(self.weight.dtype), self.weight, self.offset,
                self.stride, self.padding, self.dilation) + 1
            return rate.relu()

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        read_old_bias(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@MODELS.register_module()
class ScaleAdaptiveConv2d(nn.Conv2d):
    """A convolution with one regressed dilation rate per output pixel.

    A convolution of the layer's own kernel, stride and dilation (weight zero
    and bias one at first, ReLU after it) gives the rate map; output pixel
    ``p`` then reads tap ``i`` of every channel at ``rate[p]`` times its
    nominal distance from the middle tap:
    :func:`mmdense.ops.adaptive_dilated_conv2d` with one rate a position. At
    rate 1 it is the convolution it replaces, whose parameter names and shapes
    it keeps.

    Source: Zhang et al., Scale-Adaptive Convolutions for Scene Parsing
    (ICCV 2017), as Luo et al., Adaptive Dilated Convolution, Sections III-C
    and IV-A5, describe and compare it. The kernel of the regression is our
    reading: neither text used here states it.

    Args:
        in_channels (int): As in ``nn.Conv2d``, like all that follow.
        out_channels (int): Output channels.
        kernel_size (int | tuple[int, int]): Odd sizes.
        stride (int | tuple[int, int]): Rows, columns.
        padding (int | tuple[int, int]): Rows, columns; zeros.
        dilation (int | tuple[int, int]): Nominal dilation, that of rate 1.
        groups (int): Convolution groups.
        bias (bool): Whether there is a bias.

    Raises:
        TypeError: If a number of channels is not an integer.
        ValueError: If the kernel is even, or another argument is out of range;
            on call, if ``x`` with its padding does not cover the kernel.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 kernel_size: int | tuple[int, int],
                 stride: int | tuple[int, int] = 1,
                 padding: int | tuple[int, int] = 0,
                 dilation: int | tuple[int, int] = 1,
                 groups: int = 1,
                 bias: bool = True):
        check_positive(
            in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, size, least in (('kernel_size', kernel_size, 1),
                                  ('stride', stride, 1),
                                  ('padding', padding, 0),
                                  ('dilation', dilation, 1)):
            check_pair(size, least, name)
        super().__init__(in_channels, out_channels, kernel_size, stride,
                         padding, dilation, groups, bias)
        if any(k % 2 == 0 for k in self.kernel_size):
            raise ValueError('ScaleAdaptiveConv2d: kernel_size must be odd, '
                             f'got {self.kernel_size}')
        self.rate_regression = PixelRateConv2d(self)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve at the rates regressed from ``x`` itself.

        Args:
            x (Tensor): (N, C_in, H, W).

        Returns:
            Tensor: (N, C_out, H_out, W_out), the size ``nn.Conv2d`` gives.
        """
        check_map(x, self.in_channels)
        size = output_size(x.shape[2:], self.kernel_size, self.stride,
                           self.padding, self.dilation)
        if min(size) < 1:
            raise ValueError(
                'ScaleAdaptiveConv2d: x with its padding must cover the '
                f'kernel, got x {tuple(x.shape)} with {self}')
        return adaptive_dilated_conv2d(x, self.weight,
                                       self.rate_regression(x), self.bias,
                                       self.stride, self.padding,
                                       self.dilation, self.groups)
