"""The per-channel shift beside a copy, and beside ``F.grid_sample``."""
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdense.analysis.benchmarks.rows import (
    SHIFT,
    Row,
    Setting,
    Size,
    timed_row,
)
from mmdense.ops import channel_shift


def _operands(setting: Setting, size: Size, dtype: torch.dtype
              ) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((setting.batch, *size), generator=generator)
    offset = 3 * torch.randn((size.channels, 2), generator=generator)
    x = x.to(setting.device, dtype)
    return (x.requires_grad_(), offset.to(setting.device).requires_grad_(),
            torch.ones_like(x))


def shift_rows(setting: Setting) -> Iterator[Row]:
    """``channel_shift`` over a copy of its input."""
    for dtype in setting.dtypes:
        for size in setting.sizes or SHIFT:
            x, offset, _ = _operands(setting, size, dtype)
            x, offset = x.detach(), offset.detach()
            yield timed_row(
                setting, 'channel_shift / clone, forward', size,
                partial(channel_shift, x, offset), partial(torch.clone, x),
                2.0, 1.3, dtype=dtype)


def grid_sample_shift(x: Tensor, offset: Tensor, base: Tensor) -> Tensor:
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
        x, offset, grad = _operands(setting, size, torch.float32)
        ys, xs = (
            torch.linspace(-1, 1, s, device=setting.device)
            for s in size[1:])
        base = torch.stack(torch.meshgrid(xs, ys, indexing='xy'), -1)

        def step(function, inputs=(x, offset), grad=grad):
            torch.autograd.grad(function(*inputs), inputs, grad)

        yield timed_row(
            setting, 'grid_sample / channel_shift, forward + backward', size,
            partial(step, partial(grid_sample_shift, base=base)),
            partial(step, channel_shift), 8, None, False, slow=True)
