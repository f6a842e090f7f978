"""Where the taps of a convolution read, before rates move them."""
from collections.abc import Sequence

import torch
from torch import Tensor


def output_size(size: Sequence[int], kernel: Sequence[int],
                stride: Sequence[int], padding: Sequence[int],
                dilation: Sequence[int]) -> list[int]:
    """Give the size of the map a convolution returns.

    Args:
        size (Sequence[int]): Rows, columns of its input; so are all others.
        kernel (Sequence[int]): Of the weight.
        stride (Sequence[int]): At least 1.
        padding (Sequence[int]): Zeros before and after each axis.
        dilation (Sequence[int]): Nominal dilation.

    Returns:
        list[int]: Rows, columns; below 1 where the padded input does not
        cover the kernel.
    """
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(
        size, kernel, stride, padding, dilation, strict=True)]


def middles_and_steps(length: int, kernel: int, stride: int, padding: int,
                      dilation: int,
                      device: torch.device) -> tuple[Tensor, Tensor]:
    """Give the whole numbers of which one axis' places consist.

    At rate ``r`` output position ``p`` reads tap ``i`` at pixel
    ``middles[p] + steps[i] * r``.

    Args:
        length (int): Output positions along the axis, ``L``.
        kernel (int): Taps along the axis, odd, ``k``.
        stride (int): Pixels between positions.
        padding (int): Zeros before the map.
        dilation (int): Nominal dilation.
        device (torch.device): Of the result.

    Returns:
        tuple[Tensor, Tensor]: Where the middle tap reads, (L,), and the
        nominal distance of each tap from it, (k,), both int64, in pixels.
    """
    middle = (kernel - 1) // 2
    middles = torch.arange(length, device=device) * stride + (
        dilation * middle - padding)
    return middles, dilation * torch.arange(
        -middle, middle + 1, device=device)
