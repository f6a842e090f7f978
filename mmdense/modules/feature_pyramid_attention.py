"""Feature Pyramid Attention: a weight for every pixel, from a pyramid.

Source: H. Li, P. Xiong, J. An and L. Wang, *Pyramid Attention Network for
Semantic Segmentation*, arXiv:1805.10180, Section 3.1, Fig. 3(b), Table 1.
"""
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import check_map, check_positive, check_sequence
from mmdense.modules.conv_norm import (
    Norm,
    conv_norm,
    init_conv_norms,
    resize_like,
    run_on_few,
)

POOLINGS = dict(average=F.avg_pool2d, max=F.max_pool2d)


class FeaturePyramidAttention(nn.Module):
    """Weight a reduced map pixel by pixel with a pyramid of context.

    ``out = value(x) * pyramid(x) + context(x)``: ``value`` is a 1x1
    convolution; ``pyramid`` goes down by one pooling by 2 and one convolution
    per level, sends every level through a second convolution of the same
    kernel, and comes up again by bilinear resizing and addition; ``context``
    is a 1x1 convolution of the global average. Batch norm and ReLU follow
    every convolution.

    The paper states neither width nor where a ReLU stands, and orders the
    kernels both ways: its text puts 3x3 at the finest level, Fig. 3 puts 7x7
    there, which is the default here (``(3, 5, 7)`` gives the text's order).
    "MAX" and "AVE" of Table 1 are read as the pyramid's pooling; the global
    branch always averages. An odd row or column is pooled on its own, so any
    size from one pixel up is right; at even sizes this changes nothing.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        pyramid_channels (int): Channels inside the pyramid. One gives a
            single weight per pixel for all channels; a number that is neither
            one nor ``out_channels`` adds a 1x1 convolution to the latter.
        kernel_sizes (Sequence[int]): One odd kernel per level, fine to
            coarse: ``(7, 5, 3)`` is the paper's C357, ``(3, 3, 3)`` its C333.
        pooling (str): ``'average'`` (AVE) or ``'max'`` (MAX).
        global_pooling (bool): Whether there is a context branch (GP).
        align_corners (bool): Option of every bilinear resizing.
        multiply (bool): False adds the pyramid to the value instead, which
            leaves its context without the attention. Not in the paper.
        norm (Callable[[int], nn.Module]): Makes a norm from its channels.

    Raises:
        ValueError: If there is no kernel, one is even, or ``pooling`` is
            unknown; in training, if a batch norm sees a single value a
            channel. Below eight there is a warning.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 256,
                 pyramid_channels: int = 256,
                 kernel_sizes: Sequence[int] = (7, 5, 3),
                 pooling: str = 'average',
                 global_pooling: bool = True,
                 align_corners: bool = False,
                 multiply: bool = True,
                 norm: Norm = nn.BatchNorm2d):
        super().__init__()
        check_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            pyramid_channels=pyramid_channels)
        check_sequence(kernel_sizes=kernel_sizes)
        if not kernel_sizes:
            raise ValueError('kernel_sizes must have one kernel per pyramid '
                             'level, got none')
        if pooling not in POOLINGS:
            raise ValueError(f'pooling must be one of {sorted(POOLINGS)}, got '
                             f'{pooling!r}')
        self.pooling = pooling
        self.align_corners = align_corners
        self.multiply = multiply
        self.value = conv_norm(in_channels, out_channels, 1, norm)
        self.down, self.lateral = nn.ModuleList(), nn.ModuleList()
        width = in_channels
        for kernel_size in kernel_sizes:
            self.down.append(
                conv_norm(width, pyramid_channels, kernel_size, norm))
            self.lateral.append(
                conv_norm(pyramid_channels, pyramid_channels, kernel_size,
                          norm))
            width = pyramid_channels
        self.project = nn.Identity()
        if pyramid_channels not in (1, out_channels):
            self.project = conv_norm(pyramid_channels, out_channels, 1, norm)
        self.context = None
        if global_pooling:
            self.context = conv_norm(in_channels, out_channels, 1, norm)
        self.init_weights()

    def init_weights(self) -> None:
        init_conv_norms(self)

    def extra_repr(self) -> str:
        return (f'pooling={self.pooling!r}, '
                f'align_corners={self.align_corners}, '
                f'multiply={self.multiply}')

    def pyramid(self, x: Tensor) -> Tensor:
        """Compute weights of each pixel, (N, out_channels or 1, H, W)."""
        pool = POOLINGS[self.pooling]
        levels, y = [], x
        for down in self.down:
            # half the size, rounded up
            y = self._level(down, pool(y, 2, ceil_mode=True))
            levels.append(y)
        y = self._level(self.lateral[-1], levels[-1])
        for lateral, level in zip(
                self.lateral[-2::-1], levels[-2::-1], strict=True):
            y = resize_like(y, level, self.align_corners)
            y = self._level(lateral, level) + y
        return resize_like(self.project(y), x, self.align_corners)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        check_map(x, self.value[0].in_channels)
        value, pyramid = self.value(x), self.pyramid(x)
        out = value * pyramid if self.multiply else value + pyramid
        if self.context is not None:
            out = out + run_on_few(
                self.context, F.adaptive_avg_pool2d(x, 1),
                'FeaturePyramidAttention, the global pooling branch',
                '; or set global_pooling=False')
        return out

    def _level(self, block: nn.Sequential, x: Tensor) -> Tensor:
        return run_on_few(
            block, x, 'FeaturePyramidAttention, a level of the pyramid',
            '; or take larger crops or fewer kernel_sizes')
