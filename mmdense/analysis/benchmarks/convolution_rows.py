"""The adaptive dilated convolution beside the plain one."""
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdense.analysis.benchmarks.rows import (
    HRNET,
    RESNET,
    Row,
    Setting,
    Size,
    timed_row,
)
from mmdense.ops import adaptive_dilated_conv2d


class Variant(NamedTuple):
    """Another kind of convolution than the float32 one of ``RESNET``.

    Attributes:
        name (str): What is different.
        sizes (tuple[Size, ...]): Where it is measured.
        bars (tuple[float, float]): Forward, and forward + backward.
        groups (int): Convolution groups, 0 for one a channel.
        dtype (torch.dtype): Of the maps.
        channels_last (bool): Whether maps and weights lie so.
        batch (int, optional): Samples, instead of the setting's.
    """
    name: str
    sizes: tuple[Size, ...]
    bars: tuple[float, float]
    groups: int = 1
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    batch: int | None = None


# On a CPU. Depthwise are the backbones people deploy, 32 groups ResNeXt's.
VARIANTS = dict(
    batch_1=Variant('batch 1', RESNET + HRNET, (1.10, 1.25), batch=1),
    channels_last=Variant(
        'channels last', RESNET[:2], (1.10, 1.25), channels_last=True),
    bfloat16=Variant(
        'bfloat16', RESNET, (1.6, 1.6), dtype=torch.bfloat16),
    grouped=Variant(
        '32 groups', (Size(1024, 16, 12), ), (1.3, 1.5), groups=32),
    depthwise=Variant('depthwise', (Size(96, 32, 24), ), (2.0, 2.0), groups=0))


def taps() -> Tensor:
    """(dy, dx) of the taps of a 3x3 kernel from its centre, (9, 2)."""
    return torch.cartesian_prod(*[torch.arange(-1., 2.)] * 2)


class Layer:
    """A 3x3 convolution of padding 1, and its stand-ins, on fixed operands.

    The rates, one a channel and sample, lie between 0.5 and 2.5 and off the
    integers, so that no kernel is spared the interpolation.

    Args:
        size (Size): Of the map; as many channels come out.
        batch (int): Samples of the map.
        device (torch.device): Where to run.
        dtype (torch.dtype): Of maps and weights; rates are float32.
        groups (int): Convolution groups.
        channels_last (bool): Whether maps and weights lie so.
        rate_shape (tuple[int, ...], optional): Of the rates of a sample,
            instead of (C,).
    """

    def __init__(self,
                 size: Size,
                 batch: int,
                 device: torch.device,
                 dtype: torch.dtype = torch.float32,
                 groups: int = 1,
                 channels_last: bool = False,
                 rate_shape: tuple[int, ...] | None = None):
        generator = torch.Generator().manual_seed(0)
        layout = torch.channels_last if channels_last else \
            torch.contiguous_format

        def draw(*shape):
            return torch.randn(
                shape, generator=generator).to(
                    device, dtype, memory_format=layout).requires_grad_()

        channels = size.channels
        self.groups = groups
        self.x = draw(batch, *size)
        self.weight = draw(channels, channels // groups, 3, 3)
        self.rate = (0.5 + 2 * torch.rand(
            (batch, *(rate_shape or (channels, ))),
            generator=generator)).to(
                device).requires_grad_()
        self.grad = draw(batch, *size).detach()

    @cached_property
    def offset(self) -> Tensor:
        """(dy, dx) of nine taps, for every channel of every sample.

        (N, 18 C, H, W), in pixels.
        """
        x = self.x
        reach = taps().flatten().to(x.device)
        offset = (self.rate.detach() - 1)[:, :, None] * reach
        return offset.flatten(1)[..., None, None].to(x.dtype).repeat(
            1, 1, *x.shape[2:]).requires_grad_()

    def plain(self, backward: bool = True) -> list[Tensor]:
        """What cuDNN and oneDNN do: the output, and with it the gradients."""
        return self._step(
            F.conv2d, (self.x, self.weight),
            backward,
            padding=1,
            groups=self.groups)

    def adaptive(self, backward: bool = True) -> list[Tensor]:
        """The operator."""
        return self._step(
            adaptive_dilated_conv2d, (self.x, self.weight, self.rate),
            backward,
            padding=1,
            groups=self.groups)

    def deformed(self, deformable: Callable,
                 backward: bool = True) -> list[Tensor]:
        """The same outputs by a deformable convolution."""
        return self._step(deformable, (self.x, self.offset, self.weight),
                          backward)

    def _step(self, function, inputs, backward, **arguments) -> list[Tensor]:
        if backward:
            out = function(*inputs, **arguments)
            return [out, *torch.autograd.grad(out, inputs, self.grad)]
        with torch.no_grad():
            return [function(*inputs, **arguments)]


def convolution_rows(setting: Setting, backward: bool) -> Iterator[Row]:
    """The operator over the plain convolution, at every size."""
    name = 'forward + backward' if backward else 'forward'
    for dtype in setting.dtypes:
        if setting.cuda:
            binding = backward and dtype == torch.bfloat16
            bar, goal = (1.5 if binding else None), None
        else:
            bar, goal = (1.25, None) if backward else (1.10, 1.05)
        for size in setting.sizes or RESNET + HRNET:
            layer = Layer(size, setting.batch, setting.device, dtype)
            yield timed_row(
                setting, f'ADC / conv2d, {name}', size,
                partial(layer.adaptive, backward),
                partial(layer.plain, backward), bar, goal, dtype=dtype)


def variant_rows(setting: Setting, variant: Variant) -> Iterator[Row]:
    """The operator over the plain convolution, where it is another kind."""
    bars = (None, None) if setting.cuda else variant.bars
    for backward, bar in zip((False, True), bars, strict=True):
        name = 'forward + backward' if backward else 'forward'
        for size in setting.sizes or variant.sizes:
            layer = Layer(size, variant.batch or setting.batch, setting.device,
                          variant.dtype, variant.groups or size.channels,
                          variant.channels_last)
            yield timed_row(
                setting, f'ADC / conv2d, {variant.name}, {name}', size,
                partial(layer.adaptive, backward),
                partial(layer.plain, backward), bar, dtype=variant.dtype)


def memory_rows(setting: Setting) -> Iterator[Row]:
    """Peak memory of a training step, over the plain convolution's."""
    for size in setting.sizes or RESNET:
        layer = Layer(size, setting.batch, setting.device)
        for call in (layer.adaptive, layer.plain):
            call()
        peaks = a, b = setting.peaks(layer.adaptive, layer.plain)
        yield Row('ADC / conv2d, peak memory of a step', str(size), 'float32',
                  a, b, 'MB', (a / b, a / b), 1.3, None, True, peaks)
