"""Convolution with batch norm, as in every decoder here."""
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import check_map, check_positive
from mmdense.modules.once import warn_once

Norm = Callable[[int], nn.Module]
# A batch norm of two values gives their order and nothing else: plus or minus
# one. From about eight on their sizes count.
FEW_VALUES = 8


def conv_norm(in_channels: int,
              out_channels: int,
              kernel_size: int,
              norm: Norm = nn.BatchNorm2d,
              relu: bool = True) -> nn.Sequential:
    """Build a bias-free convolution that keeps the size, a norm, maybe ReLU.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Odd side of the square kernel.
        norm (Callable[[int], nn.Module]): Makes the norm from its channels.
        relu (bool): Whether a ReLU ends it.

    Returns:
        nn.Sequential: Children 0 (convolution), 1 (norm) and maybe 2 (ReLU).

    Raises:
        TypeError: If a size is not an integer, or ``norm`` cannot be called.
        ValueError: If ``kernel_size`` is even or below 1: padding could not
            keep the size.
    """
    check_positive(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise ValueError('kernel_size must be a positive odd number, got '
                         f'{kernel_size}')
    if not callable(norm):
        raise TypeError(f'norm must make a norm of a number of channels, got '
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
    """Set the initial values of what :func:`conv_norm` made in ``module``.

    He initialisation for the convolutions, and for their biases where there
    are any zero; one and zero for the norms.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity='relu')
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(getattr(part, 'weight', None), nn.Parameter):
            init_norm(part)


def init_norm(norm: nn.Module) -> None:
    """Set weights of a norm to one and its biases to zero, if it has any."""
    if norm.weight is not None:
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)


def check_values(norm: nn.Module, x: Tensor, part: str,
                 way_out: str = '') -> None:
    """Raise if a batch norm trains on one value a channel; warn of few.

    Args:
        norm (nn.Module): Any norm; a norm that does not use other images is
            not checked.
        x (Tensor): A tensor of the size of its input, (N, C, H, W).
        part (str): Name of the part of the network, for messages.
        way_out (str): Another remedy than more images, for messages.

    Raises:
        ValueError: If the norm trains on one value a channel. Below
            ``FEW_VALUES`` there is a warning instead.
    """
    batch = isinstance(norm, nn.modules.batchnorm._BatchNorm)
    single = isinstance(norm, nn.modules.instancenorm._InstanceNorm)
    if not (norm.training and (batch or single)):
        return
    n, _, h, w = x.shape
    values = h * w * (n if batch else 1)
    if isinstance(norm, nn.SyncBatchNorm) and torch.distributed.is_available(
    ) and torch.distributed.is_initialized():
        values = values * torch.distributed.get_world_size()
    if values >= FEW_VALUES or values == 0:
        return
    fault = (f'{part}: {type(norm).__name__} must see more than one value per '
             f'channel in training, and at least {FEW_VALUES} to learn from '
             f'them, got {values} (here {n} images of {h} x {w} positions); '
             'load more images per GPU, use SyncBN over several GPUs, or GN, '
             f'which needs no other image{way_out}')
    if values == 1:
        raise ValueError(fault)
    warn_once(fault)


def run_on_few(block: nn.Sequential, x: Tensor, *text: str) -> Tensor:
    """A :func:`conv_norm` of ``x``, its norm checked by
    :func:`check_values`."""
    check_values(block[1], x, *text)
    return block(x)


def resize_like(x: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    """Resize (N, C, h, w) bilinearly to the height and width of ``like``.

    Raises:
        TypeError, ValueError: If ``x`` or ``like`` is not a feature map, or
            ``align_corners`` is not a bool.
    """
    check_map(x, None)
    check_map(like, None, 'like')
    if not isinstance(align_corners, bool):
        raise TypeError('align_corners must be a bool, got '
                        f'{type(align_corners).__name__}')
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(
        x,
        size=like.shape[-2:],
        mode='bilinear',
        align_corners=align_corners)
