"""What the operators cost beside the calls they replace.

Every row is a ratio with a bar it has to keep and, where there is one, a
goal beyond it.
"""
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from mmdense.analysis.benchmarks.convolution_rows import (
    VARIANTS,
    convolution_rows,
    memory_rows,
    variant_rows,
)
from mmdense.analysis.benchmarks.model_rows import model_rows
from mmdense.analysis.benchmarks.peer_rows import (
    dcls_rows,
    deformable_rows,
    mmcv_conv,
    torchvision_conv,
)
from mmdense.analysis.benchmarks.pixel_rate_rows import pixel_rate_rows
from mmdense.analysis.benchmarks.rows import Row, Setting
from mmdense.analysis.benchmarks.shift_rows import grid_sample_rows, shift_rows
from mmdense.ops import available_backends

# What `--only` takes; each is called with a Setting and yields its rows.
ROWS = dict(
    forward=partial(convolution_rows, backward=False),
    backward=partial(convolution_rows, backward=True),
    **{
        name: partial(variant_rows, variant=variant)
        for name, variant in VARIANTS.items()
    },
    torchvision=partial(
        deformable_rows, name='torchvision', deformable=torchvision_conv),
    mmcv=partial(deformable_rows, name='mmcv', deformable=mmcv_conv),
    dcls=dcls_rows,
    pixel_rates=pixel_rate_rows,
    memory=memory_rows,
    shift=shift_rows,
    grid_sample=grid_sample_rows,
    model=model_rows)


@dataclass(frozen=True)
class NotMeasured:
    """Rows that could not be measured.

    Attributes:
        name (str): Their name in ``ROWS``.
        reason (str): Why not.
    """
    name: str
    reason: str


def measure_rows(setting: Setting,
                 names: Iterable[str]) -> Iterator[Row | NotMeasured]:
    """Measure rows one after the other; one that fails stops no other.

    Args:
        setting (Setting): Where and how often.
        names (Iterable[str]): Keys of ``ROWS``.
    """
    for name in names:
        try:
            yield from ROWS[name](setting)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            # A host or a peer that is not installed, a map that a peer
            # refuses or the memory cannot hold.
            yield NotMeasured(name, str(error))


def environment(setting: Setting, clock: str) -> dict:
    """Return what the figures depend on, for the head of a table."""
    cores = os.cpu_count() or 1
    if setting.cuda:
        device = torch.cuda.get_device_name()
    else:
        device = (f'{torch.backends.cpu.get_cpu_capability()}, '
                  f'{torch.get_num_threads()} of {cores} cores')
    return dict(
        device=device,
        machine=platform.machine(),
        load=os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        torch=torch.__version__,
        backends=available_backends(),
        clock='events' if setting.cuda else clock,
        batch=setting.batch,
        repeats=setting.repeats)


def too_busy(setting: Setting, load: float | None) -> str | None:
    """Say when wall times will not stand because of other work, or None."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    if setting.cuda or (load or 0) + threads <= cores + 0.5:
        return None
    return (f'beware: the load is {load:.1f} on {cores} cores before '
            f'{threads} more threads; see --help')
