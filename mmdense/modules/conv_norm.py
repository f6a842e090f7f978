"""Convolution with batch norm, as every convolution of a decoder here is."""
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import check_map, check_positive

Norm = Callable[[int], nn.Module]


def conv_norm(in_channels: int,
              out_channels: int,
              kernel_size: int,
              norm: Norm = nn.BatchNorm2d,
              relu: bool = True) -> nn.Sequential:
    """Bias-free convolution that keeps the size, norm and maybe ReLU.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Odd side of the square kernel.
        norm (Callable[[int], nn.Module]): Makes the norm from its channels.
        relu (bool): Whether a ReLU ends it.

    Returns:
        nn.Sequential: Children 0 (convolution), 1 (norm) and maybe 2 (ReLU).

    Raises:
        TypeError: If a size is no integer, or ``norm`` cannot be called.
        ValueError: If ``kernel_size`` is even or below 1: padding could not
            keep the size.
    """
    check_positive(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise ValueError('kernel_size wants a positive odd number, got '
                         f'{kernel_size}')
    if not callable(norm):
        raise TypeError(f'norm wants what makes a norm from its channels, got '
                        f'{norm!r}')
    layers = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=kernel_size // 2,
            bias=False),
        norm(out_channels)
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def init_conv_norms(module: nn.Module) -> None:
    """Give what :func:`conv_norm` made in ``module`` its initial values.

    He initialisation for the convolutions, and for their biases where there
    are any zero; one and zero for the norms.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity='relu')
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(getattr(part, 'weight', None), nn.Parameter):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)


def resize_like(x: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    """Bilinear resize of (N, C, h, w) to the height and width of ``like``.

    Raises:
        TypeError, ValueError: If ``x`` or ``like`` is no feature map, or
            ``align_corners`` no bool.
    """
    check_map(x, None)
    check_map(like, None, 'like')
    if not isinstance(align_corners, bool):
        raise TypeError('align_corners wants a bool, got '
                        f'{type(align_corners).__name__}')
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(
        x,
        size=like.shape[-2:],
        mode='bilinear',
        align_corners=align_corners)
