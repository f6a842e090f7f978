"""U-Net as it was published: valid convolutions, cropped skips.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net: Convolutional Networks
for Biomedical Image Segmentation*, arXiv:1505.04597; segmentation lecture,
slides 21 to 30.
"""
from itertools import pairwise

import torch
from torch import Tensor, nn

from mmdense.arguments import (
    check_at_least,
    check_map,
    check_positive,
    check_share,
)


def context(depth: int = 4) -> int:
    """Return the pixels that the network loses at each border.

    ``6 * 2^depth - 4``: two 3x3 convolutions take 2 pixels of their level's
    map on each side, on the way down and on the way up.

    Raises:
        TypeError, ValueError: If ``depth`` is not a positive integer; so do
            all functions here.
    """
    check_positive(depth=depth)
    return 6 * 2**depth - 4


def works(size: int, depth: int = 4) -> bool:
    """Whether a side of ``size`` pixels is even at every pool and leaves
    something at the end."""
    check_positive(size=size, depth=depth)
    return (size + 4) % 2**depth == 0 and size > 2 * context(depth)


def nearest_sizes(size: int, depth: int = 4) -> tuple[int | None, int]:
    """Return the nearest sides that work, in pixels.

    Args:
        size (int): The side to reach.
        depth (int): Number of poolings.

    Returns:
        tuple[int | None, int]: The largest that works up to ``size``, None
        if there is none, and the smallest from ``size`` on.
    """
    check_positive(size=size, depth=depth)
    step = 2**depth
    below = size - (size + 4) % step
    above = covering_size(max(1, size - 2 * context(depth)), depth)
    return (below if below > 0 and works(below, depth) else None), above


def output_size(size: int, depth: int = 4) -> int:
    """Return the output side for an input side, in pixels: 388 for 572.

    Args:
        size (int): Side of the input.
        depth (int): Number of poolings.

    Raises:
        ValueError: If the valid convolutions leave nothing of ``size``, or
            a pool would get an odd side; names the nearest sizes that work.
    """
    if works(size, depth):
        return size - 2 * context(depth)
    below, above = nearest_sizes(size, depth)
    near = str(above) if below is None else f'{below} or {above}'
    raise ValueError(
        f'an image side of {size} does not fit {depth} poolings and unpadded '
        f'convolutions; the nearest that works: {near}')


def covering_size(output: int, depth: int = 4) -> int:
    """Return the smallest input side with at least ``output`` pixels out."""
    check_positive(output=output)
    size = output + 2 * context(depth)
    return size + -(size + 4) % 2**depth


def crop_center(x: Tensor, height: int, width: int) -> Tensor:
    """Cut the middle out of a map (..., H, W): (..., height, width).

    Raises:
        TypeError, ValueError: If ``x`` is not such a map, or is too small.
    """
    if not isinstance(x, Tensor) or x.dim() < 2:
        raise TypeError(f'x must be a tensor (..., H, W), got '
                        f'{tuple(x.shape) if isinstance(x, Tensor) else x!r}')
    check_at_least(0, height=height, width=width)
    if height > x.shape[-2] or width > x.shape[-1]:
        raise ValueError(f'height and width must be at most those of x, '
                         f'{tuple(x.shape[-2:])}, got {height}, {width}')
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top:top + height, left:left + width]


class UNet(nn.Module):
    """Contracting and expansive path, without the classifier.

    Each level: two valid 3x3 convolutions with ReLU; down by a 2x2 max pool,
    after which the width doubles; up by a 2x2 up-convolution that halves it,
    joined with the cropped map of the level. With a 1x1 convolution on its
    output and ``depth=4`` it has the paper's 23 convolutions.

    Departures and readings: the up-convolution is a transposed 2x2
    convolution of stride 2, which upsampling and a 2x2 convolution amount to;
    no ReLU follows it, as slide 26 says. The slides do not speak of dropout
    and initial values: weights are drawn from ``N(0, sqrt(2 / n))``, n the
    inputs of one output, biases 0, as the paper has it; dropout acts on the
    last two levels of the contracting path, before the pool and the skip.

    Args:
        in_channels (int): Channels of the image.
        base_channels (int): Width of the first level and of the output.
        depth (int): Number of poolings.
        dropout (float): Share of dropped values.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of its range; on call, if the image
            has other channels or a side that does not fit (see
            :func:`output_size`).
    """

    def __init__(self,
                 in_channels: int = 1,
                 base_channels: int = 64,
                 depth: int = 4,
                 dropout: float = 0.5):
        super().__init__()
        check_positive(
            in_channels=in_channels, base_channels=base_channels, depth=depth)
        check_share(dropout=dropout)
        self.depth = depth
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _two_convs(*pair) for pair in pairwise([in_channels, *widths]))
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        upwards = widths[::-1]
        self.up_convs = nn.ModuleList(
            nn.ConvTranspose2d(*pair, 2, stride=2)
            for pair in pairwise(upwards))
        self.up = nn.ModuleList(
            _two_convs(*pair) for pair in pairwise(upwards))
        self.init_weights()

    def init_weights(self) -> None:
        """Draw every weight from N(0, sqrt(2 / n)); set every bias to 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # An output of the up-convolution sees one pixel of its input.
                taps = 9 if isinstance(module, nn.Conv2d) else 1
                std = (2 / (taps * module.in_channels))**0.5
                nn.init.normal_(module.weight, 0, std)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map an image (N, C, H, W) to features (N, base_channels, H', W').

        ``H'`` is ``output_size(H, depth)``, centred on the image.
        """
        check_map(x, self.down[0][0].in_channels)
        for side in x.shape[2:]:
            output_size(side, self.depth)
        skips = []
        for level, convs in enumerate(self.down):
            x = convs(x if level == 0 else self.pool(x))
            if level >= self.depth - 1:
                x = self.dropout(x)
            skips.append(x)
        x = skips.pop()
        for up_conv, convs in zip(self.up_convs, self.up, strict=True):
            x = up_conv(x)
            skip = crop_center(skips.pop(), *x.shape[2:])
            x = convs(torch.cat([skip, x], 1))
        return x


def _two_convs(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3), nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3), nn.ReLU(inplace=True))
