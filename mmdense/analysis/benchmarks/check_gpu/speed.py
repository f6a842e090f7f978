"""The speed table of a GPU: the operators over what they replace."""
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch

from mmdense.analysis.benchmarks.convolution_rows import (
    VARIANTS,
    convolution_rows,
    variant_rows,
)
from mmdense.analysis.benchmarks.ops_report import as_json
from mmdense.analysis.benchmarks.peer_rows import (
    deformable_rows,
    mmcv_conv,
    torchvision_conv,
)
from mmdense.analysis.benchmarks.rows import (
    RESNET,
    SHIFT,
    Row,
    Setting,
    Size,
)
from mmdense.analysis.benchmarks.shift_rows import grid_sample_rows, shift_rows
from mmdense.ops import use_backend

REPEATS = 15
SMALL = Size(20, 5, 6)
HALF = torch.bfloat16
# Name, dtype, TF32 allowed; what training uses first.
PRECISIONS = (('bfloat16', HALF, False), ('float32', torch.float32, False),
              ('tf32', torch.float32, True))
KINDS = (('ADC, forward + backward', partial(convolution_rows, backward=True)),
         ('ADC, forward', partial(convolution_rows, backward=False)))
PEERS = (('torchvision', torchvision_conv), ('mmcv', mmcv_conv))
# Other kinds of convolution, in the precision that training uses.
OTHERS = tuple(
    VARIANTS[name]._replace(name=f'{VARIANTS[name].name}, bfloat16',
                            dtype=HALF)
    for name in ('channels_last', 'grouped', 'depthwise'))

Rows = Callable[[Setting], Iterator[Row]]


def measure(rows: Rows, setting: Setting) -> dict:
    """Measure the rows of one item on the Triton kernels.

    Returns:
        dict: ``status`` ``'ok'``, ``'miss'`` for a bar that is not kept, or
        ``'skipped'`` with the ``reason`` for a peer that is not installed;
        ``rows``.
    """
    try:
        # Never the reference in silence.
        with use_backend('triton'):
            found = list(rows(setting))
    except ImportError as error:
        return dict(status='skipped', reason=str(error))
    if not setting.cuda:
        # A rehearsal: the bars are those of a CPU's own kernels.
        found = [replace(row, bar=None, goal=None) for row in found]
    missed = any(row.verdict == 'miss' for row in found)
    return dict(
        status='miss' if missed else 'ok',
        rows=[as_json(row) for row in found])


def items(device: torch.device, batch: int,
          rehearse: bool) -> dict[str, Callable[[], dict]]:
    """Return every measurement by name, in the order of their weight."""
    setting = Setting(device, batch, 1 if rehearse else REPEATS)
    sizes = (SMALL, ) if rehearse else RESNET
    found = {}

    def add(name: str, rows: Rows, size: Size | None = None,
            **changes) -> None:
        full = f'{name}, {size}' if size else name
        chosen = replace(setting, sizes=size and (size, ), **changes)
        found[full] = partial(measure, rows, chosen)

    for name, dtype, tf32 in PRECISIONS:
        for kind, rows in KINDS:
            for size in sizes:
                add(f'{kind}, {name}', rows, size, dtypes=(dtype, ), tf32=tf32)
    for name, conv in PEERS:
        rows = partial(deformable_rows, name=name, deformable=conv)
        for size in sizes:
            add(f'{name} deform_conv2d', rows, size)
    for size in (SMALL, ) if rehearse else SHIFT:
        add('channel_shift', shift_rows, size, dtypes=(HALF, torch.float32))
        add('grid_sample', grid_sample_rows, size)
    for variant in () if rehearse else OTHERS:
        add(f'ADC, {variant.name}', partial(variant_rows, variant=variant))
    return found
