"""The definition of the adaptive dilated convolution, in plain PyTorch."""
import torch.nn.functional as F
from torch import Tensor

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
            computes in this dtype.
        bias (Tensor, optional): (C_out,).
        stride (list[int]): Rows, columns; so are padding and dilation.
        padding (list[int]): Zeros before and after each axis.
        dilation (list[int]): Nominal dilation, what a rate of 1 means.
        groups (int): Convolution groups.

    Returns:
        Tensor: (N, C_out, H_out, W_out), dtype of ``x``.
    """
    batch, channels = x.shape[:2]
    rate_groups = rate.shape[1]
    # Channel c belongs to group floor(c * g / C): C / g neighbours share.
    rate = rate[..., None].expand(batch, rate_groups, channels // rate_groups)
    rate = rate.reshape(batch, channels)
    kernel = weight.shape[2:]
    middle = [(k - 1) // 2 for k in kernel]
    length = [(x.shape[2 + a] + 2 * padding[a] - dilation[a] *
               (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1)]
    start = [dilation[a] * middle[a] - padding[a] for a in (0, 1)]

    def read(values: Tensor, tap: int, a: int) -> Tensor:
        whole, rest = split(rate * (dilation[a] * (tap - middle[a])))
        return read_axis(values, start[a] + whole, rest, 2 + a, length[a],
                         stride[a])

    values = x.to(rate.dtype)
    taps = weight.to(rate.dtype)
    out = 0
    for i in range(kernel[0]):
        rows = read(values, i, 0)  # (N, C, H_out, W)
        for j in range(kernel[1]):
            sampled = read(rows, j, 1)  # (N, C, H_out, W_out)
            out = out + F.conv2d(
                sampled, taps[:, :, i:i + 1, j:j + 1], groups=groups)
    if bias is not None:
        out = out + bias.to(rate.dtype)[:, None, None]
    return out.to(x.dtype)
