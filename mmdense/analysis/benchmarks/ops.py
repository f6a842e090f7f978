"""What the operators cost beside the calls they replace.

Every row is a ratio with a bar it has to keep and, where there is one, a
goal beyond it.
"""
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.hub import get_config
from torch import nn

from mmdense.analysis.benchmarks.measuring import (
    Ratio,
    compare,
    peak_extra_bytes,
)
from mmdense.modules.adaptive_dilated_conv import DilationRateRegression
from mmdense.networks import build_model
from mmdense.ops import adaptive_dilated_conv2d, channel_shift


class Size(NamedTuple):
    """A feature map without its batch."""
    channels: int
    height: int
    width: int

    def __str__(self):
        return 'x'.join(map(str, self))


# Of the 3x3 convolutions of SimpleBaseline-ResNet-50's stages and of
# HRNet-W32's branches, both at 256x192.
RESNET = (Size(64, 64, 48), Size(128, 32, 24), Size(256, 16, 12),
          Size(512, 8, 6))
HRNET = (Size(32, 64, 48), Size(64, 32, 24), Size(128, 16, 12),
         Size(256, 8, 6))
SHIFT = (Size(512, 64, 48), )
BATCH = dict(cpu=8, cuda=32)

BASELINE = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
            'td-hm_res50_8xb64-210e_coco-256x192.py')
IMAGE = (256, 192)


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

# mmcv's deformable convolution takes seconds a call: few samples do.
SLOW_REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        figure (str): What is divided by what.
        size (str): Channels x height x width, or the image of a model.
        dtype (str): Of the maps.
        a, b (float): Median milliseconds, or megabytes (10^6) for memory,
            above and below the stroke of ``figure``.
        unit (str): ``'ms'`` or ``'MB'``.
        ratio (float): ``a / b``.
        quartiles (tuple[float, float]): First and third, of the ratios of
            neighbouring samples; for memory the smallest and the largest.
        bar, goal (float, optional): What the ratio has to keep, should keep.
        at_most (bool): Whether the bar is an upper one.
    """
    figure: str
    size: str
    dtype: str
    a: float
    b: float
    unit: str
    ratio: float
    quartiles: tuple[float, float]
    bar: float | None
    goal: float | None
    at_most: bool

    @property
    def verdict(self) -> str:
        """``'goal'``, ``'pass'``, ``'miss'``, or '' without a bar."""

        def keeps(limit):
            return limit is not None and (
                self.ratio <= limit if self.at_most else self.ratio >= limit)

        if keeps(self.goal):
            return 'goal'
        if self.bar is None:
            return ''
        return 'pass' if keeps(self.bar) else 'miss'


@dataclass(frozen=True)
class Setting:
    """What all rows share.

    Attributes:
        device (torch.device): Where to run.
        batch (int): Samples of a map.
        repeats (int): Samples of a timing.
        sizes (tuple[Size, ...], optional): Instead of the sizes of the rows.
        deformables (dict[str, Callable]): By who made them, deformable
            convolutions of padding 1 to compare with, each
            ``(x, offset, weight) -> out``.
        clock (Callable): Time in seconds.
    """
    device: torch.device
    batch: int
    repeats: int
    sizes: tuple[Size, ...] | None = None
    deformables: dict[str, Callable] = field(default_factory=dict)
    clock: Callable[[], float] = time.perf_counter

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """Those the device is used with."""
        if self.device.type == 'cuda':
            return torch.float32, torch.float16, torch.bfloat16
        return (torch.float32, )

    def compare(self, a: Callable, b: Callable, slow: bool = False) -> Ratio:
        """Alternate two calls on this device."""
        cuda = self.device.type == 'cuda'
        return compare(
            a,
            b,
            min(self.repeats, SLOW_REPEATS) if slow else self.repeats,
            warm_up=1 if slow else 2,
            synchronize=torch.cuda.synchronize if cuda else lambda: None,
            clock=self.clock)


def _row(figure: str,
         size: object,
         ratio: Ratio,
         bar: float | None = None,
         goal: float | None = None,
         at_most: bool = True,
         dtype: torch.dtype = torch.float32) -> Row:
    a, b = (sorted(s)[len(s) // 2] * 1e3 for s in (ratio.a, ratio.b))
    return Row(figure, str(size),
               str(dtype).removeprefix('torch.'), a, b, 'ms', ratio.median,
               ratio.quartiles, bar, goal, at_most)


class Layer:
    """A 3x3 convolution of padding 1, and its stand-ins, on fixed operands.

    The rates, one a channel and sample, lie between 0.5 and 2.5 and off the
    integers, so that no kernel is spared the interpolation.
    """

    def __init__(self,
                 size: Size,
                 batch: int,
                 device: torch.device,
                 dtype: torch.dtype = torch.float32,
                 groups: int = 1,
                 channels_last: bool = False):
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
            (batch, channels), generator=generator)).to(
                device).requires_grad_()
        self.grad = draw(batch, *size).detach()

    @cached_property
    def offset(self) -> torch.Tensor:
        """(dy, dx) of nine taps, for every channel of every sample."""
        x = self.x
        reach = torch.cartesian_prod(*[torch.arange(-1., 2.)] * 2).to(x.device)
        offset = (self.rate.detach() - 1)[:, :, None] * reach.flatten()
        return offset.flatten(1)[..., None, None].to(x.dtype).repeat(
            1, 1, *x.shape[2:]).requires_grad_()

    def plain(self, backward: bool = True) -> None:
        """What cuDNN and oneDNN do."""
        self._step(
            F.conv2d, (self.x, self.weight),
            backward,
            padding=1,
            groups=self.groups)

    def adaptive(self, backward: bool = True) -> None:
        """The operator."""
        self._step(
            adaptive_dilated_conv2d, (self.x, self.weight, self.rate),
            backward,
            padding=1,
            groups=self.groups)

    def deformed(self, deformable: Callable, backward: bool = True) -> None:
        """The same outputs by a deformable convolution."""
        self._step(deformable, (self.x, self.offset, self.weight), backward)

    def _step(self, function, inputs, backward, **arguments) -> None:
        if backward:
            out = function(*inputs, **arguments)
            torch.autograd.grad(out, inputs, self.grad)
        else:
            with torch.no_grad():
                function(*inputs, **arguments)


def convolution_rows(setting: Setting, backward: bool) -> Iterator[Row]:
    """The operator over the plain convolution, at every size."""
    cuda = setting.device.type == 'cuda'
    name = 'forward + backward' if backward else 'forward'
    for dtype in setting.dtypes:
        if cuda:
            binding = backward and dtype == torch.bfloat16
            bar, goal = (2.0 if binding else None), None
        else:
            bar, goal = (1.25, None) if backward else (1.10, 1.05)
        for size in setting.sizes or RESNET + HRNET:
            layer = Layer(size, setting.batch, setting.device, dtype)
            ratio = setting.compare(
                partial(layer.adaptive, backward),
                partial(layer.plain, backward))
            yield _row(f'ADC / conv2d, {name}', size, ratio, bar, goal,
                       dtype=dtype)


def variant_rows(setting: Setting, variant: Variant) -> Iterator[Row]:
    """The operator over the plain convolution, where it is another kind."""
    bars = (None, None) if setting.device.type == 'cuda' else variant.bars
    for backward, bar in zip((False, True), bars, strict=True):
        name = 'forward + backward' if backward else 'forward'
        for size in setting.sizes or variant.sizes:
            layer = Layer(size, variant.batch or setting.batch, setting.device,
                          variant.dtype, variant.groups or size.channels,
                          variant.channels_last)
            ratio = setting.compare(
                partial(layer.adaptive, backward),
                partial(layer.plain, backward))
            yield _row(
                f'ADC / conv2d, {variant.name}, {name}', size, ratio, bar,
                dtype=variant.dtype)


def deformable_rows(setting: Setting) -> Iterator[Row]:
    """Deformable convolutions doing the same work over the operator."""
    bars = {64: (25, 60), 128: (15, 30), 256: (8, 15), 512: (5, 8)}
    for name, deformable in setting.deformables.items():
        for dtype in setting.dtypes:
            if dtype == torch.bfloat16:
                continue  # torchvision has no kernel for it.
            for size in setting.sizes or RESNET:
                layer = Layer(size, setting.batch, setting.device, dtype)
                bar, goal = bars.get(size.channels, (None, None))
                if setting.device.type == 'cuda':
                    bar, goal = 8, None
                ratio = setting.compare(
                    partial(layer.deformed, deformable),
                    layer.adaptive,
                    slow=True)
                yield _row(f'{name} deform_conv2d / ADC, forward + backward',
                           size, ratio, bar, goal, False, dtype)


def step_memory(name: str, size: Size, batch: int, device: str,
                threads: int) -> int:
    """Peak extra bytes of one training step of ``Layer``'s call ``name``.

    On a CPU to be called once in a process of its own. A small step comes
    first: the code it pages in, the threads it starts are not the layer's.
    """
    torch.set_num_threads(threads)
    for shape in (Size(16, 8, 8), Size(*size)):
        layer = Layer(shape, batch, torch.device(device))
        extra = peak_extra_bytes(getattr(layer, name), torch.device(device))
    return extra


def _memory_in_fresh_process(*arguments) -> int:
    # Large blocks go back to the system when they are freed; by default
    # glibc keeps more and more of them.
    env = dict(
        os.environ, MALLOC_MMAP_THRESHOLD_='65536', MALLOC_ARENA_MAX='1')
    done = subprocess.run([
        sys.executable, '-c',
        'from mmdense.analysis.benchmarks.ops import step_memory\n'
        f'print(step_memory{arguments!r})'
    ],
                          env=env,
                          capture_output=True,
                          text=True)
    if done.returncode:
        raise RuntimeError('the process that measures memory failed:\n'
                           f'{done.stderr[-2000:]}')
    return int(done.stdout.split()[-1])


def memory_rows(setting: Setting) -> Iterator[Row]:
    """Peak extra memory of a training step, over the plain convolution's."""
    for size in setting.sizes or RESNET:
        both = []
        for name in ('adaptive', 'plain'):
            samples = sorted(
                _memory_in_fresh_process(name, tuple(
                    size), setting.batch, setting.device.type,
                                         torch.get_num_threads())
                for _ in range(min(setting.repeats, 3)))
            both.append(samples)
        a, b = (samples[len(samples) // 2] / 1e6 for samples in both)
        spread = (both[0][0] / both[1][-1], both[0][-1] / both[1][0])
        yield Row('ADC / conv2d, peak extra memory of a step', str(size),
                  'float32', a, b, 'MB', a / b, spread, 1.3, None, True)


def shift_rows(setting: Setting) -> Iterator[Row]:
    """``channel_shift`` over a copy of its input."""
    for size in setting.sizes or SHIFT:
        x, offset, _ = _shift_operands(setting, size)
        x, offset = x.detach(), offset.detach()
        ratio = setting.compare(
            partial(channel_shift, x, offset), partial(torch.clone, x))
        yield _row('channel_shift / clone, forward', size, ratio, 2.0, 1.3)


def _shift_operands(setting: Setting, size: Size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((setting.batch, *size), generator=generator)
    offset = 3 * torch.randn((size.channels, 2), generator=generator)
    return (x.to(setting.device).requires_grad_(),
            offset.to(setting.device).requires_grad_(),
            torch.ones_like(x, device=setting.device))


def grid_sample_shift(x: torch.Tensor,
                      offset: torch.Tensor,
                      base: torch.Tensor) -> torch.Tensor:
    """Shift channels as PyTorch offers it: every channel an image.

    Args:
        x (Tensor): (N, C, H, W).
        offset (Tensor): (C, 2), (dy, dx) in pixels.
        base (Tensor): (H, W, 2), the (x, y) of every pixel, -1 to 1.
    """
    n, c, h, w = x.shape
    pixels = offset.new_tensor([max(w - 1, 1), max(h - 1, 1)])
    grid = base + (offset.flip(-1) * 2 / pixels)[:, None, None]
    grid = grid.expand(n, c, h, w, 2).flatten(0, 1)
    return F.grid_sample(
        x.flatten(0, 1)[:, None], grid, align_corners=True).view_as(x)


def grid_sample_rows(setting: Setting) -> Iterator[Row]:
    """``F.grid_sample`` doing the same work over ``channel_shift``."""
    for size in setting.sizes or SHIFT:
        x, offset, grad = _shift_operands(setting, size)
        ys, xs = (
            torch.linspace(-1, 1, s, device=setting.device)
            for s in size[1:])
        base = torch.stack(torch.meshgrid(xs, ys, indexing='xy'), -1)

        def step(function, inputs=(x, offset), grad=grad):
            torch.autograd.grad(function(*inputs), inputs, grad)

        ratio = setting.compare(
            partial(step, partial(grid_sample_shift, base=base)),
            partial(step, channel_shift),
            slow=True)
        yield _row('grid_sample / channel_shift, forward + backward', size,
                   ratio, 8, None, False)


def baseline(adaptive: bool) -> nn.Module:
    """mmpose's SimpleBaseline-ResNet-50, untrained, for training.

    With ``adaptive``, conv2 of every Bottleneck is an adaptive dilated
    convolution whose regression starts off the integers: at its initial
    rates of exactly 1 a kernel may be spared the interpolation.
    """
    config = get_config(BASELINE)
    if adaptive:
        config.model.backbone = dict(
            type='mmdense.ReplaceConv',
            backbone=config.model.backbone,
            conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
            pattern=r'layer[1-4]\.\d+\.conv2')
    model = build_model(config).train()
    for module in model.modules():
        if isinstance(module, DilationRateRegression):
            nn.init.uniform_(module.fc2.bias, 0.5, 2.5)
    return model


def model_rows(setting: Setting) -> Iterator[Row]:
    """A training step of a host's own model, with and without ADC.

    Forward, mean squared error on the heatmaps, backward and an Adam step;
    the data pipeline is not part of it.
    """
    x = torch.randn(setting.batch, 3, *IMAGE, device=setting.device)
    for dtype in setting.dtypes:
        if dtype == torch.float16:
            continue  # Needs a loss scaler, whose speed nobody asked for.
        steps = []
        for adaptive in (True, False):
            model = baseline(adaptive).to(setting.device)
            optimizer = torch.optim.Adam(model.parameters(), 5e-4)

            def step(model=model, optimizer=optimizer, dtype=dtype):
                with torch.autocast(
                        setting.device.type,
                        dtype,
                        enabled=dtype != torch.float32):
                    heatmaps = model(x, None, mode='tensor')
                optimizer.zero_grad()
                heatmaps.float().square().mean().backward()
                optimizer.step()

            steps.append(step)
        bar, goal = (1.05 if setting.device.type == 'cpu' else None), None
        yield _row(
            'SimpleBaseline-R50 with ADC / without, train step',
            'x'.join(map(str, IMAGE)),
            setting.compare(*steps, slow=True), bar, goal, dtype=dtype)


ROWS = dict(
    forward=partial(convolution_rows, backward=False),
    backward=partial(convolution_rows, backward=True),
    **{
        name: partial(variant_rows, variant=variant)
        for name, variant in VARIANTS.items()
    },
    deformable=deformable_rows,
    memory=memory_rows,
    shift=shift_rows,
    grid_sample=grid_sample_rows,
    model=model_rows)
