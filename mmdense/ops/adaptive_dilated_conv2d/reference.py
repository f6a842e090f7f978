"""The definition of the adaptive dilated convolution, in plain PyTorch."""
import torch.nn.functional as F
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d import pixelwise
from mmdense.ops.adaptive_dilated_conv2d.places import (
    middles_and_steps,
    output_size,
)
from mmdense.ops.channel_shift.reference import read_axis, split


def adaptive_dilated_conv2d(x: Tensor, weight: Tensor, rate: Tensor,
                            bias: Tensor | None, stride: list[int],
                            padding: list[int], dilation: list[int],
                            groups: int) -> Tensor:
    """Sample each tap at its own fractional position; the definition.

    Output position ``p`` reads tap ``i`` of an axis at
    ``p * stride - padding + dilation * (c + (i - c) * r)``, ``c`` being the
    middle tap and ``r`` the rate of the channel's group. Everything but
    ``dilation * (i - c) * r`` is a whole number, so only that product is
    split into pixels and a fraction, and no precision is lost far from zero.

    Args:
        x (Tensor): (N, C, H, W).
        weight (Tensor): (C_out, C / groups, k_h, k_w), odd kernel.
        rate (Tensor): (N, g), float32 (float64 for a float64 ``x``);
            computes in this dtype. (N, g, H_out, W_out) goes to
            ``pixelwise.py``.
        bias (Tensor, optional): (C_out,).
        stride (list[int]): Rows, columns; so are padding and dilation.
        padding (list[int]): Zeros before and after each axis.
        dilation (list[int]): Nominal dilation, what a rate of 1 means.
        groups (int): Convolution groups.

    Returns:
        Tensor: (N, C_out, H_out, W_out), dtype of ``x``.
    """
    if rate.dim() == 4:
        return pixelwise.adaptive_dilated_conv2d(x, weight, rate, bias, stride,
                                                 padding, dilation, groups)
    batch, channels = x.shape[:2]
    rate_groups = rate.shape[1]
    # Channel c belongs to group floor(c * g / C): C / g neighbours share.
    rate = rate[..., None].expand(batch, rate_groups, channels // rate_groups)
    rate = rate.reshape(batch, channels)
    kernel = weight.shape[2:]
    size = output_size(x.shape[2:], kernel, stride, padding, dilation)
    sampled = x.to(rate.dtype)
    # All taps of an output position beside each other: a map kernel times as
    # high and wide as the output, which a stride of the kernel walks through.
    for a in (0, 1):
        middles, steps = middles_and_steps(size[a], kernel[a], stride[a],
                                           padding[a], dilation[a], x.device)
        whole, rest = split(rate[..., None] * steps)
        # (N, C, L, 1 and k): position before tap.
        whole = middles[:, None] + whole[:, :, None]
        rest = rest[:, :, None].expand(whole.shape)
        sampled = read_axis(sampled, whole.flatten(2), rest.flatten(2), 2 + a)
    out = F.conv2d(
        sampled,
        weight.to(rate.dtype),
        None if bias is None else bias.to(rate.dtype),
        stride=kernel,
        groups=groups)
    return out.to(x.dtype)
