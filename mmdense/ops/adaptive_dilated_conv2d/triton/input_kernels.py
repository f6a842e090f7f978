"""Gradients of the input and the rate: two kernels and their launches."""
import torch
import triton
import triton.language as tl
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d.triton.sampling import (
    channels_of,
    planes_of,
    positions_of,
    rates_of,
    sample_tap,
    slope_of,
    tile_dot,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.tiles import (
    blocks_of,
    geometry,
    power_of_two,
    precision,
    products_blocks,
    taps_first,
    uses_dot,
    warps,
)
from mmdense.ops.channel_shift.triton import split_offset

# Bytes of products held at a time: well inside the L2 cache of such a GPU.
SLICE = 32 * 2**20


@triton.jit
def products_of(grad, weight, n, block, tap, c, in_in, position, in_tile,
                outputs, out_area, in_group, out_group, KH: tl.constexpr,
                KW: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
                BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr,
                BLOCK_P: tl.constexpr):
    """``W^T grad`` of one tap: (input channels, positions)."""
    # Weights lie as (outputs, taps, channels of a group).
    line = (KH * KW) * in_group
    first = weight + (tap * in_group + c % in_group)[:, None]
    acc = tl.zeros([BLOCK_IN, BLOCK_P], tl.float32)
    if DOT:
        for start in range(0, out_group, BLOCK_OUT):
            inner = start + tl.arange(0, BLOCK_OUT)
            in_out = inner < out_group
            o = block // tl.cdiv(in_group, BLOCK_IN) * out_group + inner
            taps = tl.load(
                first + o.to(tl.int64)[None, :] * line,
                mask=in_in[:, None] & in_out[None, :],
                other=0.0)
            g = tl.load(
                planes_of(grad, n, outputs, o, out_area)[:, None] +
                position[None, :],
                mask=in_out[:, None] & in_tile[None, :],
                other=0.0)
            acc = tile_dot(taps, g, acc, PRECISION)
    else:
        for inner in range(out_group):
            o = c // in_group * out_group + inner
            taps = tl.load(
                first + o.to(tl.int64)[:, None] * line,
                mask=in_in[:, None],
                other=0.0).to(tl.float32)
            g = tl.load(
                planes_of(grad, n, outputs, o, out_area)[:, None] +
                position[None, :],
                mask=in_in[:, None] & in_tile[None, :],
                other=0.0).to(tl.float32)
            acc += taps * g
    return acc


@triton.jit
def _products_kernel(grad, x, weight, rate, products, slopes, first_n,
                     first_block, channels, outputs, height, width,
                     out_height, out_width, in_group, out_group, rate_groups,
                     stride_y, stride_x, start_y, start_x, dilation_y,
                     dilation_x, tiles, blocks, KH: tl.constexpr,
                     KW: tl.constexpr, NEEDS_X: tl.constexpr,
                     NEEDS_RATE: tl.constexpr, DOT: tl.constexpr,
                     PRECISION: tl.constexpr, BLOCK_OUT: tl.constexpr,
                     BLOCK_IN: tl.constexpr, BLOCK_P: tl.constexpr):
    """``W^T grad`` of one tap; its share of the gradient of the rate."""
    program = tl.program_id(0)
    tap = program % (KH * KW)
    tile = program // (KH * KW) % tiles
    local_block = program // (KH * KW) // tiles % blocks
    local_n = program // (KH * KW) // tiles // blocks
    n = first_n + local_n
    block = first_block + local_block
    position, in_tile, row, column = positions_of(
        tile, out_height, out_width, stride_y, stride_x, start_y, start_x,
        BLOCK_P)
    c, in_in = channels_of(block, channels, in_group, DOT, BLOCK_IN)
    out_area = out_height * out_width
    acc = products_of(grad, weight, n, block, tap, c, in_in, position,
                      in_tile, outputs, out_area, in_group, out_group, KH, KW,
                      DOT, PRECISION, BLOCK_OUT, BLOCK_IN, BLOCK_P)
    mask = in_in[:, None] & in_tile[None, :]
    if NEEDS_X:
        slot = (local_n.to(tl.int64) * blocks +
                local_block) * BLOCK_IN + tl.arange(0, BLOCK_IN)
        tl.store(
            products + ((slot * (KH * KW) + tap) * out_area)[:, None] +
            position[None, :],
            acc.to(products.dtype.element_ty),
            mask=mask)
    if NEEDS_RATE:
        r = rates_of(rate, n, channels, rate_groups, c, in_in, position,
                     in_tile, out_area, False)
        plane = planes_of(x, n, channels, c, height * width)[:, None]
        row, column = row[None, :], column[None, :]
        i = tap // KW - KH // 2
        j = tap % KW - KW // 2
        step_y, step_x = dilation_y * i, dilation_x * j
        if i == 0:
            if j == 0:
                slope = tl.zeros([BLOCK_IN, BLOCK_P], tl.float32)
            else:
                slope = slope_of(plane, r, row, column, mask, height, width,
                                 step_y, step_x, False, True)
        else:
            if j == 0:
                slope = slope_of(plane, r, row, column, mask, height, width,
                                 step_y, step_x, True, False)
            else:
                slope = slope_of(plane, r, row, column, mask, height, width,
                                 step_y, step_x, True, True)
        share = (n.to(tl.int64) * channels + c) * (KH * KW) + tap
        tl.store(
            slopes + share * tiles + tile,
            tl.sum(acc * slope, axis=1),
            mask=in_in)


@triton.jit
def _strided(position, whole, STRIDE: tl.constexpr):
    """Output index that reads ``position``, and whether there is one."""
    reach = position - whole
    return reach // STRIDE, (reach >= 0) & (reach % STRIDE == 0)


@triton.jit
def _collect_tap(product, rate, row, column, mask, out_height, out_width,
                 step_y, step_x, STRIDE_Y: tl.constexpr,
                 STRIDE_X: tl.constexpr):
    """The adjoint of sampling one tap, at a stride above 1."""
    whole_y, rest_y = split_offset(rate * step_y)
    whole_x, rest_x = split_offset(rate * step_x)
    acc = 0.0
    for a in tl.static_range(2):
        y, reads_y = _strided(row, whole_y + a, STRIDE_Y)
        share_y = rest_y if a else 1 - rest_y
        reads_y &= mask & (y < out_height)
        for b in tl.static_range(2):
            z, reads_x = _strided(column, whole_x + b, STRIDE_X)
            share_x = rest_x if b else 1 - rest_x
            value = tl.load(
                product + (y * out_width + z),
                mask=reads_y & reads_x & (z < out_width),
                other=0.0)
            acc += share_y * share_x * value.to(tl.float32)
    return acc


@triton.jit
def _collect_kernel(products, rate, grad_x, first_n, first_block, channels,
                    height, width, out_height, out_width, in_group,
                    rate_groups, start_y, start_x, dilation_y, dilation_x,
                    tiles, blocks, STRIDE_Y: tl.constexpr,
                    STRIDE_X: tl.constexpr, KH: tl.constexpr,
                    KW: tl.constexpr, DOT: tl.constexpr,
                    BLOCK_IN: tl.constexpr, ROWS: tl.constexpr,
                    BLOCK_P: tl.constexpr):
    """Every input pixel adds up the products of the taps that read it."""
    program = tl.program_id(0)
    tile = program % tiles
    part = program // tiles % (BLOCK_IN // ROWS)
    local_block = program // tiles // (BLOCK_IN // ROWS) % blocks
    local_n = program // tiles // (BLOCK_IN // ROWS) // blocks
    n = first_n + local_n
    lane = part * ROWS + tl.arange(0, ROWS)
    block = first_block + local_block
    # `channels_of` again, for the lanes of this part alone.
    if DOT:
        in_blocks = tl.cdiv(in_group, BLOCK_IN)
        inner = block % in_blocks * BLOCK_IN + lane
        c = block // in_blocks * in_group + inner
        in_in = inner < in_group
    else:
        c = block * BLOCK_IN + lane
        in_in = c < channels
    position, in_tile, row, column = positions_of(tile, height, width, 1, 1,
                                                -start_y, -start_x, BLOCK_P)
    row, column = row[None, :], column[None, :]
    mask = in_in[:, None] & in_tile[None, :]
    out_area = out_height * out_width
    r = rates_of(rate, n, channels, rate_groups, c, in_in, position, in_tile,
                 out_area, False)
    slot = (local_n.to(tl.int64) * blocks + local_block) * BLOCK_IN + lane
    acc = tl.zeros([ROWS, BLOCK_P], tl.float32)
    for tap in range(KH * KW):
        product = products + ((slot * (KH * KW) + tap) * out_area)[:, None]
        if STRIDE_Y == 1 and STRIDE_X == 1:
            # The adjoint of a shift is the opposite shift.
            acc += sample_tap(product, r, row, column, mask, out_height,
                               out_width, -dilation_y, -dilation_x, tap, KH,
                               KW)
        else:
            acc += _collect_tap(product, r, row, column, mask, out_height,
                                out_width, dilation_y * (tap // KW - KH // 2),
                                dilation_x * (tap % KW - KW // 2), STRIDE_Y,
                                STRIDE_X)
    tl.store(
        planes_of(grad_x, n, channels, c, height * width)[:, None] +
        position[None, :],
        acc.to(grad_x.dtype.element_ty),
        mask=mask)


def input_and_rate(grad: Tensor, x: Tensor, weight: Tensor, rate: Tensor,
                   stride, padding, dilation, groups: int, needs_x: bool,
                   needs_rate: bool) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of ``x`` and ``rate``, from slices of ``W^T grad``."""
    batch, channels, height, width = x.shape
    outputs, in_group, *kernel = weight.shape
    out_group = outputs // groups
    out_height, out_width = grad.shape[2:]
    positions, taps = out_height * out_width, kernel[0] * kernel[1]
    dot = uses_dot(in_group, out_group)
    tile = products_blocks(in_group, out_group, positions,
                           x.dtype != torch.float32)
    block_in = tile['BLOCK_IN']
    tiles = triton.cdiv(positions, tile['BLOCK_P'])
    blocks = blocks_of(channels, groups, block_in, dot)
    # A slice holds some blocks of one sample, or some whole samples.
    block_bytes = block_in * taps * positions * x.element_size()
    step_blocks = min(max(SLICE // block_bytes, 1), blocks)
    step_n = min(max(SLICE // (block_bytes * step_blocks), 1), batch)
    grad_x = products = slopes = None
    if not needs_x:
        step_blocks, step_n = blocks, batch
    else:
        grad_x = torch.empty_like(x)
        products = x.new_empty(
            (step_n, step_blocks * block_in, taps, positions))
    if needs_rate:
        slopes = torch.empty((batch, channels, taps * tiles),
                             dtype=torch.float32,
                             device=x.device)
    rows = min(block_in, 8)
    block_p = power_of_two(height * width, 16, 128)
    pixel_tiles = triton.cdiv(height * width, block_p)
    places = geometry(kernel, stride, padding, dilation)
    weight = taps_first(weight)
    for first_n in range(0, batch, step_n):
        count = min(step_n, batch - first_n)
        for first_block in range(0, blocks, step_blocks):
            some = min(step_blocks, blocks - first_block)
            _products_kernel[(count * some * tiles * taps, )](
                grad,
                x,
                weight,
                rate,
                products,
                slopes,
                first_n,
                first_block,
                channels,
                outputs,
                height,
                width,
                out_height,
                out_width,
                in_group,
                out_group,
                rate.shape[1],
                **places,
                tiles=tiles,
                blocks=some,
                KH=kernel[0],
                KW=kernel[1],
                NEEDS_X=needs_x,
                NEEDS_RATE=needs_rate,
                DOT=dot,
                PRECISION=precision(x),
                **tile,
                num_warps=warps(block_in * tile['BLOCK_P'],
                                 block_in * tile['BLOCK_P']))
            if not needs_x:
                continue
            _collect_kernel[(count * some * (block_in // rows) *
                             pixel_tiles, )](
                products,
                rate,
                grad_x,
                first_n,
                first_block,
                channels,
                height,
                width,
                out_height,
                out_width,
                in_group,
                rate.shape[1],
                places['start_y'],
                places['start_x'],
                *dilation,
                tiles=pixel_tiles,
                blocks=some,
                STRIDE_Y=stride[0],
                STRIDE_X=stride[1],
                KH=kernel[0],
                KW=kernel[1],
                DOT=dot,
                BLOCK_IN=block_in,
                ROWS=rows,
                BLOCK_P=block_p,
                num_warps=4)
    grad_rate = None
    if needs_rate:
        # Channel c belongs to group floor(c * g / C): neighbours share.
        grad_rate = slopes.view(batch, rate.shape[1], -1).sum(-1)
        # The middle row and column ignore the rate; if it is not finite,
        # neither is its gradient.
        grad_rate += rate * 0
    return grad_x, grad_rate
