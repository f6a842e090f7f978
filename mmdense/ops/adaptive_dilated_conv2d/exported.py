"""The adaptive dilated convolution as runtimes of exported graphs like it."""
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d.places import (
    middles_and_steps,
    output_size,
)
from mmdense.ops.channel_shift.exported import band


def adaptive_dilated_conv2d(x: Tensor, weight: Tensor, rate: Tensor,
                            bias: Tensor | None, stride: list[int],
                            padding: list[int], dilation: list[int],
                            groups: int) -> Tensor:
    """Shift the channels by products of matrices, then mix them.

    A tap of a channel is a shift of its map, and a shift is a product with a
    band matrix on either side (:func:`band`). Their cost grows with the sides
    of the map: about (H + 3 W) / (3 C_out) of the convolution's. Equal to the
    reference, but that a NaN or an infinity in ``x`` makes its row and its
    column NaN.

    Arguments and result are those of the reference.
    """
    batch, channels, height, width = x.shape
    rate_groups = rate.shape[1]
    out_channels, _, *kernel = weight.shape
    size = output_size(x.shape[2:], kernel, stride, padding, dilation)
    axes = []
    for a in (0, 1):
        middles, steps = middles_and_steps(size[a], kernel[a], stride[a],
                                           padding[a], dilation[a], x.device)
        pixel = torch.arange(x.shape[2 + a], device=x.device)
        # (N, g, 1, k, 1, 1)
        offset = rate[:, :, None, None, None, None] * steps[:, None, None]
        axes.append((pixel, middles, offset))
    (row, top, down), (column, left, right) = axes
    rows = band(row - top[:, None], down)  # (N, g, 1, k_h, H_out, H)
    columns = band(column[:, None] - left, right)  # (N, g, 1, k_w, W, W_out)
    # All vertical taps in one product: (N, g, C / g, 1, k_h * H_out, W).
    taps = rows.reshape(
        batch, rate_groups, 1, 1, kernel[0] * size[0], height) @ x.to(
            rate.dtype).reshape(batch, rate_groups, channels // rate_groups, 1,
                                height, width)
    taps = taps @ columns  # (N, g, C / g, k_w, k_h * H_out, W_out)
    out = F.conv2d(
        taps.reshape(batch, channels * kernel[1] * kernel[0], *size),
        weight.to(rate.dtype).transpose(2, 3).reshape(out_channels, -1, 1, 1),
        None if bias is None else bias.to(rate.dtype),
        groups=groups)
    return out.to(x.dtype)
