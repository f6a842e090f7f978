"""Gradients of the input and of a rate for every output position."""
import warnings

import torch
import triton
import triton.language as tl
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d.triton.input_kernels import (
    products_of,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.sampling import (
    below,
    channels_of,
    planes_of,
    positions_of,
    rates_of,
    slope_of,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.tiles import (
    blocks_of,
    geometry,
    precision,
    products_blocks,
    taps_first,
    uses_dot,
    warps,
)
from mmdense.ops.channel_shift.triton import split_offset


@triton.jit
def _whole_and_rest(offset):
    whole, rest = split_offset(offset)
    # NaN is whole 0, as in the reference.
    return tl.where(offset == offset, whole, 0), rest


@triton.jit
def _scatter_tap(plane, product, rate, row, column, mask, height, width,
                 step_y, step_x):
    """The adjoint of sampling one tap."""
    whole_y, rest_y = _whole_and_rest(rate * step_y)
    whole_x, rest_x = _whole_and_rest(rate * step_x)
    for a in tl.static_range(2):
        y = row + whole_y + a
        share_y = rest_y if a else 1 - rest_y
        in_y = mask & below(y, height)
        for b in tl.static_range(2):
            z = column + whole_x + b
            share = share_y * (rest_x if b else 1 - rest_x)
            tl.atomic_add(
                plane + y.to(tl.int64) * width + z,
                share * product,
                mask=in_y & below(z, width) & (share != 0))


@triton.jit
def _pixelwise_kernel(grad, x, weight, rate, grad_x, slopes, channels,
                      outputs, height, width, out_height, out_width, in_group,
                      out_group, rate_groups, stride_y, stride_x, start_y,
                      start_x, dilation_y, dilation_x, tiles, blocks,
                      KH: tl.constexpr, KW: tl.constexpr,
                      NEEDS_X: tl.constexpr, NEEDS_RATE: tl.constexpr,
                      DOT: tl.constexpr, PRECISION: tl.constexpr,
                      BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr,
                      BLOCK_P: tl.constexpr):
    """``W^T grad`` of all taps, scattered, and times the samples' slopes."""
    program = tl.program_id(0)
    tile = program % tiles
    block = program // tiles % blocks
    n = program // tiles // blocks
    position, in_tile, row, column = positions_of(
        tile, out_height, out_width, stride_y, stride_x, start_y, start_x,
        BLOCK_P)
    row, column = row[None, :], column[None, :]
    c, in_in = channels_of(block, channels, in_group, DOT, BLOCK_IN)
    out_area = out_height * out_width
    mask = in_in[:, None] & in_tile[None, :]
    r = rates_of(rate, n, channels, rate_groups, c, in_in, position, in_tile,
                 out_area, True)
    plane = planes_of(x, n, channels, c, height * width)[:, None]
    # The middle tap ignores the rate; if it is not finite, neither is its
    # gradient.
    total = r * 0
    for tap in range(KH * KW):
        product = products_of(grad, weight, n, block, tap, c, in_in, position,
                              in_tile, outputs, out_area, in_group, out_group,
                              KH, KW, DOT, PRECISION, BLOCK_OUT, BLOCK_IN,
                              BLOCK_P)
        step_y = dilation_y * (tap // KW - KH // 2)
        step_x = dilation_x * (tap % KW - KW // 2)
        if NEEDS_X:
            _scatter_tap(
                planes_of(grad_x, n, channels, c, height * width)[:, None],
                product, r, row, column, mask, height, width, step_y, step_x)
        if NEEDS_RATE:
            total += product * slope_of(plane, r, row, column, mask, height,
                                        width, step_y, step_x, True, True)
    if NEEDS_RATE:
        tl.store(
            planes_of(slopes, n, channels, c, out_area)[:, None] +
            position[None, :],
            total,
            mask=mask)


def input_and_rate(grad: Tensor, x: Tensor, weight: Tensor, rate: Tensor,
                   stride, padding, dilation, groups: int, needs_x: bool,
                   needs_rate: bool) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of ``x`` and of ``rate``, (N, g, H_out, W_out).

    A pixel is read by positions that only their rates tell, so its gradient
    is added up by atomics, in float32: results do not repeat bit for bit.

    Raises:
        RuntimeError: If the gradient of ``x`` is asked for under
            ``torch.use_deterministic_algorithms``.
    """
    if needs_x and torch.are_deterministic_algorithms_enabled():
        message = ('adaptive_dilated_conv2d: the gradient of x must not be '
                   'asked for under torch.use_deterministic_algorithms where '
                   f'every position has its rate, got x on {x.device}')
        if not torch.is_deterministic_algorithms_warn_only_enabled():
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=2)
    batch, channels, height, width = x.shape
    outputs, in_group, *kernel = weight.shape
    out_group = outputs // groups
    out_height, out_width = grad.shape[2:]
    dot = uses_dot(in_group, out_group)
    tile = products_blocks(in_group, out_group, out_height * out_width,
                           x.dtype != torch.float32)
    tiles = triton.cdiv(out_height * out_width, tile['BLOCK_P'])
    blocks = blocks_of(channels, groups, tile['BLOCK_IN'], dot)
    grad_x = slopes = None
    if needs_x:
        grad_x = torch.zeros_like(x, dtype=torch.float32)
    if needs_rate:
        slopes = torch.empty((batch, channels, out_height, out_width),
                             dtype=torch.float32,
                             device=x.device)
    _pixelwise_kernel[(batch * blocks * tiles, )](
        grad,
        x,
        taps_first(weight),
        rate,
        grad_x,
        slopes,
        channels,
        outputs,
        height,
        width,
        out_height,
        out_width,
        in_group,
        out_group,
        rate.shape[1],
        **geometry(kernel, stride, padding, dilation),
        tiles=tiles,
        blocks=blocks,
        KH=kernel[0],
        KW=kernel[1],
        NEEDS_X=needs_x,
        NEEDS_RATE=needs_rate,
        DOT=dot,
        PRECISION=precision(x),
        **tile,
        num_warps=warps(tile['BLOCK_IN'] * tile['BLOCK_P'],
                        tile['BLOCK_IN'] * tile['BLOCK_P']))
    return (None if grad_x is None else grad_x.to(x.dtype),
            None if slopes is None else slopes.unflatten(
                1, (rate.shape[1], -1)).sum(2))
