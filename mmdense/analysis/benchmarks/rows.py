"""What a row of the operators' benchmark is, and how one is measured."""
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from mmdense.analysis.benchmarks.measuring import CudaClock, Ratio, compare
from mmdense.analysis.benchmarks.memory import peak_allocated_bytes


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
# Those the device is used with.
DTYPES = dict(
    cpu=(torch.float32, ),
    cuda=(torch.float32, torch.float16, torch.bfloat16))

# A deformable convolution takes seconds a call on a CPU: few samples do.
SLOW_REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        figure (str): What is divided by what.
        size (str): Channels x height x width, or the image of a model.
        dtype (str): Of the maps; ``'tf32'`` for float32 maps whose products a
            GPU may round to TF32.
        a, b (float): Median milliseconds, or megabytes (10^6) for memory,
            above and below the stroke of ``figure``.
        unit (str): ``'ms'`` or ``'MB'``.
        quartiles (tuple[float, float]): First and third, of the ratios of
            neighbouring samples.
        bar, goal (float, optional): What the ratio has to keep, should keep.
        at_most (bool): Whether the bar is an upper one.
        peaks (tuple[float, float], optional): Megabytes that PyTorch's
            allocator held at most in one call of ``a`` and of ``b``, beyond
            what was there before.
    """
    figure: str
    size: str
    dtype: str
    a: float
    b: float
    unit: str
    quartiles: tuple[float, float]
    bar: float | None
    goal: float | None
    at_most: bool
    peaks: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """``a / b``."""
        return self.a / self.b

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
        clock (Callable): Time in seconds on a CPU. A GPU is timed by events.
        dtypes (tuple[torch.dtype, ...]): Of the maps, where a row leaves
            them open.
        tf32 (bool): Whether a GPU may round the factors of float32 products
            to TF32, in both calls of a ratio.
    """
    device: torch.device
    batch: int
    repeats: int
    sizes: tuple[Size, ...] | None = None
    clock: Callable[[], float] = time.perf_counter
    dtypes: tuple[torch.dtype, ...] = DTYPES['cpu']
    tf32: bool = False

    @property
    def cuda(self) -> bool:
        """Whether this is a GPU."""
        return self.device.type == 'cuda'

    def compare(self, a: Callable, b: Callable, slow: bool = False) -> Ratio:
        """Alternate two calls on this device."""
        return compare(
            a,
            b,
            min(self.repeats, SLOW_REPEATS) if slow else self.repeats,
            warm_up=min(self.repeats, 1 if slow else 2),
            synchronize=torch.cuda.synchronize if self.cuda else lambda: None,
            clock=CudaClock() if self.cuda else self.clock)

    def peaks(self, a: Callable, b: Callable) -> tuple[float, float]:
        """Return the peak megabytes of a call of each; both have run."""
        return tuple(
            peak_allocated_bytes(call, self.device) / 1e6 for call in (a, b))

    @contextlib.contextmanager
    def products(self) -> Iterator[None]:
        """Have float32 products as ``tf32`` says, cuDNN at its fastest."""
        if not self.cuda:
            yield
            return
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        try:
            with torch.backends.cudnn.flags(
                    enabled=True, benchmark=True, allow_tf32=self.tf32):
                yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


def timed_row(setting: Setting,
              figure: str,
              size: object,
              a: Callable[[], object],
              b: Callable[[], object],
              bar: float | None = None,
              goal: float | None = None,
              at_most: bool = True,
              dtype: torch.dtype = torch.float32,
              slow: bool = False) -> Row:
    """Measure the time of two calls in turn, then the memory of each.

    Args:
        setting (Setting): Where and how often.
        figure (str): What is divided by what.
        size (object): What the calls work on.
        a (Callable): The call above the stroke.
        b (Callable): The call below it.
        bar (float, optional): See :class:`Row`; so are goal and at_most.
        goal (float, optional): See :class:`Row`.
        at_most (bool): See :class:`Row`.
        dtype (torch.dtype): Of the maps.
        slow (bool): Whether few samples must do.
    """
    with setting.products():
        ratio = setting.compare(a, b, slow)
        peaks = setting.peaks(a, b)
    first, second = (statistics.median(s) * 1e3 for s in (ratio.a, ratio.b))
    name = str(dtype).removeprefix('torch.')
    if setting.tf32 and dtype == torch.float32:
        name = 'tf32'
    return Row(figure, str(size), name, first, second, 'ms', ratio.quartiles,
               bar, goal, at_most, peaks)
