"""The definition of the convolution with a rate for every output position."""
import torch.nn.functional as F
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d.places import middles_and_steps
from mmdense.ops.channel_shift.reference import split


def adaptive_dilated_conv2d(x: Tensor, weight: Tensor, rate: Tensor,
                            bias: Tensor | None, stride: list[int],
                            padding: list[int], dilation: list[int],
                            groups: int) -> Tensor:
    """Sample each tap of each position on its own; the definition.

    As ``reference.py``, except that the rate depends on the position ``p``
    too: a tap is no shift of the whole map any more, so its four neighbours
    are looked up for every position.

    Arguments and result are those of the reference, ``rate`` being
    (N, g, H_out, W_out).
    """
    batch, channels, height, width = x.shape
    rate_groups, *size = rate.shape[1:]
    kernel = weight.shape[2:]
    # Axes (N, g, row, tap along rows, column, tap along columns): all taps of
    # a position beside each other, a map kernel times as high and wide as the
    # output, which a stride of the kernel walks through.
    rate = rate[:, :, :, None, :, None]
    places = []
    for a, behind in ((0, (1, 1)), (1, ())):
        middles, steps = middles_and_steps(size[a], kernel[a], stride[a],
                                           padding[a], dilation[a], x.device)
        whole, rest = split(rate * steps.view(-1, *behind))
        places.append((whole + middles.view(-1, 1, *behind), rest))
    (y, rest_y), (z, rest_z) = places
    # Channel c belongs to group floor(c * g / C): C / g neighbours share.
    shape = (batch, rate_groups, channels // rate_groups)
    flat = x.to(rate.dtype).reshape(*shape, height * width)
    length = size[0] * kernel[0] * size[1] * kernel[1]

    def pixel(y: Tensor, z: Tensor) -> Tensor:
        inside = (y >= 0) & (y < height) & (z >= 0) & (z < width)
        index = y.clamp(0, height - 1) * width + z.clamp(0, width - 1)
        index = index.reshape(batch, rate_groups, 1, length)
        return flat.gather(3, index.expand(*shape, length)).where(
            inside.reshape(index.shape), 0)

    def share(weight: Tensor) -> Tensor:
        weight = weight.expand(batch, rate_groups, size[0], kernel[0],
                               size[1], kernel[1])
        return weight.reshape(batch, rate_groups, 1, length)

    rest_y, rest_z = share(rest_y), share(rest_z)
    sampled = (1 - rest_y) * (
        (1 - rest_z) * pixel(y, z) + rest_z * pixel(y, z + 1)) + rest_y * (
            (1 - rest_z) * pixel(y + 1, z) + rest_z * pixel(y + 1, z + 1))
    out = F.conv2d(
        sampled.reshape(batch, channels, size[0] * kernel[0],
                        size[1] * kernel[1]),
        weight.to(rate.dtype),
        None if bias is None else bias.to(rate.dtype),
        stride=kernel,
        groups=groups)
    return out.to(x.dtype)
