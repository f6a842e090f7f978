"""Timing of a call, alone or against another, on a noisy machine."""
import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

# A shorter sample is repeated until it is this long: it would measure the
# clock and the launch, and one interrupt would double it.
SHORTEST_SAMPLE = 0.005
# What `--clock` takes.
CLOCKS = dict(wall=time.perf_counter, cpu=time.process_time)


@dataclass(frozen=True)
class Ratio:
    """Samples of two calls taken in turn, in seconds per call.

    Attributes:
        a (tuple[float, ...]): Samples of the first call.
        b (tuple[float, ...]): Samples of the second call, each taken next to
            the sample of ``a`` at the same index.
    """
    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of ``a`` over the median of ``b``."""
        return statistics.median(self.a) / statistics.median(self.b)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile of the ratios of neighbouring samples."""
        return quartiles([a / b for a, b in zip(self.a, self.b, strict=True)])


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile, of one sample that sample."""
    if len(samples) == 1:
        return samples[0], samples[0]
    first, _, third = statistics.quantiles(samples, method='inclusive')
    return first, third


def check_clock(parser: argparse.ArgumentParser,
                args: argparse.Namespace) -> None:
    """End the program if ``--device`` is not there, or ``--clock`` blind.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        args (argparse.Namespace): The arguments it has read.
    """
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: PyTorch sees no GPU here')
    if args.device == 'cuda' and args.clock == 'cpu':
        parser.error('--clock cpu does not see what a GPU does')


def use_threads(threads: int) -> None:
    """Set the number of CPU threads, also for compiled kernels.

    Inductor compiles the number into its kernels. Only a number that is set
    like this is part of the key of its cache.

    Args:
        threads (int): At least 1.
    """
    from torch._inductor import config as inductor
    torch.set_num_threads(threads)
    inductor.cpp.threads = threads


class CudaClock:
    """Seconds on a GPU since this clock was made, by CUDA events.

    A call waits until the GPU has done all that was launched before. Make a
    new clock for each comparison: CUDA gives the time between two events in
    float32, which after minutes no longer resolves microseconds.
    """

    def __init__(self):
        self.start = torch.cuda.Event(enable_timing=True)
        self.start.record()

    def __call__(self) -> float:
        now = torch.cuda.Event(enable_timing=True)
        now.record()
        now.synchronize()
        return self.start.elapsed_time(now) / 1e3


def compare(a: Callable[[], object],
            b: Callable[[], object],
            repeats: int = 15,
            warm_up: int = 2,
            synchronize: Callable[[], object] = lambda: None,
            clock: Callable[[], float] = time.perf_counter) -> Ratio:
    """Time two calls in turn and take the ratio of their medians.

    Other load on the machine then affects both alike. The order changes at
    every repeat, so that neither call always profits from the cache of the
    other.

    Args:
        a (Callable): The first call.
        b (Callable): The second call.
        repeats (int): Samples of each.
        warm_up (int): Calls of each before the first sample, at least 1.
        synchronize (Callable): Waits until the device has finished; does
            nothing by default, as a CPU needs.
        clock (Callable): Time in seconds.

    Returns:
        Ratio: All samples.

    Raises:
        ValueError: If ``repeats`` or ``warm_up`` is less than 1.
    """
    if repeats < 1 or warm_up < 1:
        raise ValueError('compare: repeats and warm_up must be at least 1, '
                         f'got {repeats} and {warm_up}')

    def calls_of(call):
        return _calls_per_sample(call, warm_up, synchronize, clock)

    pair = [(a, calls_of(a), []), (b, calls_of(b), [])]
    for repeat in range(repeats):
        for call, calls, samples in (pair if repeat % 2 else pair[::-1]):
            samples.append(_sample(call, calls, synchronize, clock))
    return Ratio(tuple(pair[0][2]), tuple(pair[1][2]))


def measure(call: Callable[[], object],
            repeats: int = 15,
            warm_up: int = 2,
            synchronize: Callable[[], object] = lambda: None,
            clock: Callable[[], float] = time.perf_counter
            ) -> tuple[float, ...]:
    """Time one call by itself.

    Args:
        call (Callable): The call to time.
        repeats (int): Samples.
        warm_up (int): Calls before the first sample, at least 1.
        synchronize (Callable): Waits until the device has finished.
        clock (Callable): Time in seconds.

    Returns:
        tuple[float, ...]: Seconds per call, in the order taken.

    Raises:
        ValueError: If ``repeats`` or ``warm_up`` is less than 1.
    """
    if repeats < 1 or warm_up < 1:
        raise ValueError('measure: repeats and warm_up must be at least 1, '
                         f'got {repeats} and {warm_up}')
    calls = _calls_per_sample(call, warm_up, synchronize, clock)
    return tuple(
        _sample(call, calls, synchronize, clock) for _ in range(repeats))


def _sample(call, calls, synchronize, clock):
    synchronize()
    start = clock()
    for _ in range(calls):
        call()
    synchronize()
    return (clock() - start) / calls


def _calls_per_sample(call, warm_up, synchronize, clock):
    fastest = min(
        _sample(call, 1, synchronize, clock) for _ in range(warm_up))
    return max(1, math.ceil(SHORTEST_SAMPLE / max(fastest, 1e-7)))
