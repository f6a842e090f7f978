"""The decoder of FCN-32s, FCN-16s and FCN-8s: score, upsample, crop, add.

Source: J. Long, E. Shelhamer and T. Darrell, *Fully Convolutional Networks
for Semantic Segmentation*, CVPR 2015, Sections 3.3 and 4.2, Fig. 3; the
lecture's slides 9 to 16.
"""
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import (
    check_at_least,
    check_axes,
    check_map,
    check_positive,
    check_sequence,
    check_size,
)

STEP = ('factor', 'crop', 'kernel_size')


def bilinear_kernel(kernel_size: int, factor: int) -> Tensor:
    """Return the kernel of a transposed convolution that is bilinear.

    ``k[i, j] = (1 - |i - c| / f) (1 - |j - c| / f)`` with ``c`` the middle.

    Args:
        kernel_size (int): Side; twice the factor, or one less.
        factor (int): Stride of the transposed convolution, f.

    Returns:
        Tensor: (kernel_size, kernel_size).

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If ``kernel_size`` is another: the output would not be an
            interpolation.
    """
    check_positive(kernel_size=kernel_size, factor=factor)
    if kernel_size not in (2 * factor - 1, 2 * factor):
        raise ValueError(f'kernel_size must be {2 * factor - 1} or '
                         f'{2 * factor} for factor {factor}, got '
                         f'{kernel_size}')
    away = torch.arange(kernel_size) - (kernel_size - 1) / 2
    side = 1 - away.abs() / factor
    return torch.outer(side, side)


def crop(x: Tensor, offset: int, size: tuple[int, int]) -> Tensor:
    """Cut rows and columns ``offset`` to ``offset + size`` from (N, C, H, W).

    Raises:
        TypeError: If ``x`` is not a tensor, or ``offset`` is not an integer.
        ValueError: If ``x`` does not reach so far.
    """
    check_axes(x)
    check_at_least(0, offset=offset)
    check_size(size)
    height, width = size
    if x.shape[-2] < offset + height or x.shape[-1] < offset + width:
        raise ValueError(
            f'x must be at least {offset + height}x{offset + width} for a '
            f'crop of {height}x{width} at {offset}, got '
            f'{x.shape[-2]}x{x.shape[-1]}')
    return x[..., offset:offset + height, offset:offset + width]


class SkipFusion(nn.Module):
    """Scores of several maps, the coarse ones upsampled onto the finer.

    ``s = score(coarsest)``; for each finer map ``s = up(s) +
    crop(score(map))``; at last ``crop(up(s))`` to the image. ``score`` is a
    1x1 convolution that starts at zero, so that a network with a new finer
    map begins as the coarser network it was loaded from (up to the bilinear
    interpolation in two steps instead of one). ``up`` is a transposed
    convolution: the inner ones start bilinear and are learned, class by class
    and across classes; the last is bilinear for good and no parameter. Names
    of parameters count from the coarsest map: those of FCN-32s are in
    FCN-16s, and those in FCN-8s.

    Args:
        in_channels (Sequence[int]): Channels of the maps, fine to coarse.
        num_classes (int): Scores a pixel.
        upsampling (Sequence[dict]): One a map, coarse to fine: ``factor``;
            ``crop``, the rows and columns cut off above and left, of the
            score it is added to or, of the last, from its own output;
            optionally ``kernel_size``, twice the factor or, where that puts
            the crop on whole pixels, one less.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If there is not one upsampling a map, one has no factor
            or crop, or a kernel is of another size; in ``forward``, if there
            are other maps, or one is too small for its crop.
    """

    def __init__(self, in_channels: Sequence[int], num_classes: int,
                 upsampling: Sequence[dict]):
        super().__init__()
        check_sequence(in_channels=in_channels, upsampling=upsampling)
        check_positive(num_classes=num_classes)
        for k, channels in enumerate(in_channels):
            check_positive(**{f'in_channels[{k}]': channels})
        if len(in_channels) != len(upsampling):
            raise ValueError(
                f'upsampling must have one entry a map, {len(in_channels)} '
                f'for in_channels={list(in_channels)}, got {len(upsampling)}')
        if not upsampling:
            raise ValueError('upsampling must have at least one map, got none')
        for k, step in enumerate(upsampling):
            if not isinstance(step, dict) or not (
                    {'factor', 'crop'} <= step.keys() <= set(STEP)):
                raise ValueError(
                    f'upsampling[{k}] must be a dict of factor, crop and '
                    f'maybe kernel_size, got {step!r}')
            check_positive(**{f'upsampling[{k}] factor': step['factor']})
            check_at_least(0, **{f'upsampling[{k}] crop': step['crop']})
        factors = [step['factor'] for step in upsampling]
        sizes = [
            step.get('kernel_size', 2 * step['factor']) for step in upsampling
        ]
        kernels = []
        for k, (size, factor) in enumerate(zip(sizes, factors, strict=True)):
            try:
                kernels.append(bilinear_kernel(size, factor))
            except (TypeError, ValueError) as error:
                raise type(error)(f'upsampling[{k}]: {error}') from None
        self.crops = [step['crop'] for step in upsampling]
        self.scores = nn.ModuleList(
            nn.Conv2d(channels, num_classes, 1)
            for channels in reversed(in_channels))
        self.upsamples = nn.ModuleList(
            nn.ConvTranspose2d(
                num_classes, num_classes, size, stride=factor, bias=False)
            for size, factor in zip(sizes[:-1], factors[:-1], strict=True))
        self.last_factor = factors[-1]
        # Not persistent: no two of the three networks share its size.
        self.register_buffer('last_kernel', kernels[-1], persistent=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Set scores to zero; upsample bilinearly, class by class."""
        for score in self.scores:
            nn.init.zeros_(score.weight)
            nn.init.zeros_(score.bias)
        for up in self.upsamples:
            kernel = bilinear_kernel(up.kernel_size[0], up.stride[0])
            with torch.no_grad():
                up.weight.zero_()
                for k in range(up.in_channels):
                    up.weight[k, k] = kernel

    def forward(self, maps: Sequence[Tensor],
                size: tuple[int, int]) -> Tensor:
        """Compute scores (N, num_classes, *size) of an image of ``size``.

        Args:
            maps (Sequence[Tensor]): (N, C, h, w) each, fine to coarse.
            size (tuple[int, int]): Height and width of the image.
        """
        check_sequence(maps=maps)
        if len(maps) != len(self.scores):
            raise ValueError(f'maps must be {len(self.scores)} maps, fine to '
                             f'coarse, got {len(maps)}')
        check_size(size)
        for k, (x, score) in enumerate(
                zip(maps, reversed(self.scores), strict=True)):
            check_map(x, score.in_channels, f'maps[{k}]')
            if x.shape[0] != maps[0].shape[0]:
                raise ValueError(
                    f'maps must have one batch size, got '
                    f'{[m.shape[0] for m in maps]}')
        *finer, coarsest = maps
        x = self.scores[0](coarsest)
        for up, score, offset, fine in zip(
                self.upsamples,
                self.scores[1:],
                self.crops[:-1],
                reversed(finer),
                strict=True):
            x = up(x)
            x = x + crop(score(fine), offset, x.shape[-2:])
        classes = x.shape[1]
        x = F.conv_transpose2d(
            x,
            self.last_kernel.expand(classes, 1, -1, -1).to(x.dtype),
            stride=self.last_factor,
            groups=classes)
        return crop(x, self.crops[-1], size)
