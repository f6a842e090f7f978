"""The adaptive dilated convolution on a GPU: implicit GEMM over samples.

Forward: for every block of input channels and every tap, a tile of samples
is interpolated in registers, rounded to the type of ``x`` and multiplied
(``tl.dot``, float32 sums) with the tap's weights. No columns in memory.

Gradients use no atomics, at any stride, so they repeat bit for bit:

- ``x``: the products ``W^T grad`` of all taps are written (in the type of
  ``x``) for a slice of the batch that stays in the L2 cache, then every
  input pixel collects its taps from them. The displacement belongs to the
  input channel, so it can only be applied after the sum over output
  channels, and applied to a tile in registers it would be a scatter: 25
  float32 atomics where this is nine writes and 25 cached reads. At stride 1
  collecting is sampling again, at the opposite displacement.
- ``rate``: the same products, still float32 in registers, times the slope of
  the samples.
- ``weight``: samples computed again, positions split over programs, the
  float32 parts added in a second step.

Speed, by reasoning alone: checked under Triton's interpreter and by
compiling for sm_90, NOT yet run or timed on a GPU. A 3x3 kernel reads four
pixels for a corner tap, two for an edge, one for the middle, 25 a position
and channel in place of 36, at about 10 instructions a read in the compiled
code. A sample serves one column of multiplications, so narrow layers are
bound by sampling and wide ones by the tensor cores. Hence tiles as tall as
registers allow (up to 256 outputs a sample in half precision), less tall
where a small map would leave multiprocessors idle. The goal is twice cuDNN's
forward and backward in bfloat16 at batch 32. Counting instructions, 64
channels (at 64 x 48) will miss it: the four passes that read need 0.2 ms at
the very best, rather 0.4, against perhaps 0.1; 128 are doubtful, from 256 on
it is within reach. What to try first with a GPU at hand: keep the samples
beside the products and take the weight gradient from there (one pass less),
then ``maxnreg`` for the forward, which holds 200 registers a thread, and the
size of SLICE, whose launches cost time on the CPU.

Groups of one or a few channels (16 weights a tap at most) would leave the
tensor cores' 16 x 16 tiles empty; they are multiplied and added directly.
"""
import os

import torch
import triton
import triton.language as tl
from torch import Tensor

from mmdense.ops.channel_shift.triton import on_device_of, split_offset

# Programs that keep a large GPU busy: one for each multiprocessor or more.
FILL = 128
# Bytes of products held at a time: well inside the L2 cache of such a GPU.
SLICE = 32 * 2**20
# A position plus reference.FAR must be a 32-bit number.
LARGEST_PLANE = 2**30

# Triton 3.6's interpreter keeps bfloat16 as bits and multiplies the bits.
INTERPRETED = tl.constexpr(os.environ.get('TRITON_INTERPRET', '0') == '1')


@triton.jit
def _dot(a, b, acc, PRECISION: tl.constexpr):
    if INTERPRETED:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.jit
def _below(index, size):
    # As an unsigned number a negative index is past the end: one test of two.
    return index.to(tl.uint32) < size


@triton.jit
def _corners(plane, rate, row, column, mask, height, width, step_y, step_x,
             FRACTION_Y: tl.constexpr, FRACTION_X: tl.constexpr):
    """Pixels around (row + step_y * rate, column + step_x * rate).

    ``plane`` and ``rate`` are (channels, 1), ``row`` and ``column`` (1,
    positions): whatever depends on one of them alone is computed once, and
    an element costs two additions for its place, two for its address.
    An axis without FRACTION is the middle tap's: its step is zero.
    """
    rest_y, rest_x = 0.0, 0.0
    start = row.to(tl.int64) * width + column
    if FRACTION_Y:
        whole_y, rest_y = split_offset(rate * step_y)
        row = row + whole_y
        plane = plane + whole_y.to(tl.int64) * width
    if FRACTION_X:
        whole_x, rest_x = split_offset(rate * step_x)
        column = column + whole_x
        plane = plane + whole_x
    first = plane + start
    top = mask & _below(row, height)
    left = _below(column, width)
    v00 = tl.load(first, mask=top & left, other=0.0).to(tl.float32)
    v01, v10, v11 = v00, v00, v00
    if FRACTION_X:
        right = _below(column + 1, width)
        v01 = tl.load(first + 1, mask=top & right, other=0.0).to(tl.float32)
    if FRACTION_Y:
        second = plane + width + start
        bottom = mask & _below(row + 1, height)
        v10 = tl.load(second, mask=bottom & left, other=0.0).to(tl.float32)
        if FRACTION_X:
            v11 = tl.load(
                second + 1, mask=bottom & right, other=0.0).to(tl.float32)
    return v00, v01, v10, v11, rest_y, rest_x


@triton.jit
def _sample(plane, rate, row, column, mask, height, width, step_y, step_x,
            FRACTION_Y: tl.constexpr, FRACTION_X: tl.constexpr):
    value, v01, v10, v11, rest_y, rest_x = _corners(
        plane, rate, row, column, mask, height, width, step_y, step_x,
        FRACTION_Y, FRACTION_X)
    if FRACTION_X:
        value = (1 - rest_x) * value + rest_x * v01
        v10 = (1 - rest_x) * v10 + rest_x * v11
    if FRACTION_Y:
        value = (1 - rest_y) * value + rest_y * v10
    if not (FRACTION_X or FRACTION_Y):
        # A rate that is not finite spoils the middle tap as well.
        value += rate * 0
    return value


@triton.jit
def _sample_tap(plane, rate, row, column, mask, height, width, dilation_y,
                dilation_x, tap, KH: tl.constexpr, KW: tl.constexpr):
    """Samples of one tap: 4, 2 or 1 reads each, as its place demands."""
    i, j = tap // KW - KH // 2, tap % KW - KW // 2
    y, z = dilation_y * i, dilation_x * j
    if i == 0:
        if j == 0:
            sample = _sample(plane, rate, row, column, mask, height, width, y,
                             z, False, False)
        else:
            sample = _sample(plane, rate, row, column, mask, height, width, y,
                             z, False, True)
    else:
        if j == 0:
            sample = _sample(plane, rate, row, column, mask, height, width, y,
                             z, True, False)
        else:
            sample = _sample(plane, rate, row, column, mask, height, width, y,
                             z, True, True)
    return sample


@triton.jit
def _slope(plane, rate, row, column, mask, height, width, step_y, step_x,
           FRACTION_Y: tl.constexpr, FRACTION_X: tl.constexpr):
    """Right derivative of `_sample` with respect to the rate."""
    v00, v01, v10, v11, rest_y, rest_x = _corners(
        plane, rate, row, column, mask, height, width, step_y, step_x,
        FRACTION_Y, FRACTION_X)
    if FRACTION_X and FRACTION_Y:
        slope_x = (1 - rest_y) * (v01 - v00) + rest_y * (v11 - v10)
        slope_y = (1 - rest_x) * (v10 - v00) + rest_x * (v11 - v01)
        slope = step_x * slope_x + step_y * slope_y
    elif FRACTION_X:
        slope = step_x * (v01 - v00)
    else:
        slope = step_y * (v10 - v00)
    return slope


@triton.jit
def _positions(tile, out_height, out_width, stride_y, stride_x, start_y,
               start_x, BLOCK: tl.constexpr):
    """Output positions of a tile, and where their middle tap reads."""
    position = tile * BLOCK + tl.arange(0, BLOCK)
    row = position // out_width * stride_y + start_y
    column = position % out_width * stride_x + start_x
    return position, position < out_height * out_width, row, column


@triton.jit
def _channels(block, channels, per_group, DOT: tl.constexpr,
              BLOCK: tl.constexpr):
    """Channel numbers of a block, and which of them exist.

    With DOT a block stays inside one group, else it runs across groups.
    """
    if DOT:
        blocks = tl.cdiv(per_group, BLOCK)
        inner = block % blocks * BLOCK + tl.arange(0, BLOCK)
        channel = block // blocks * per_group + inner
        exists = inner < per_group
    else:
        channel = block * BLOCK + tl.arange(0, BLOCK)
        exists = channel < channels
    return channel, exists


@triton.jit
def _planes(tensor, n, channels, channel, area):
    return tensor + (n.to(tl.int64) * channels + channel) * area


@triton.jit
def _forward_channels(acc, plane, rate, weight, weight_mask, row, column, mask,
                      height, width, dilation_y, dilation_x, per_group,
                      KH: tl.constexpr, KW: tl.constexpr, DOT: tl.constexpr,
                      PRECISION: tl.constexpr):
    """Add all taps of one block of input channels."""
    # Not unrolled: nine taps at once spill registers and compile for minutes.
    for tap in range(KH * KW):
        sample = _sample_tap(plane, rate, row, column, mask, height, width,
                             dilation_y, dilation_x, tap, KH, KW)
        taps = tl.load(weight + tap * per_group, mask=weight_mask, other=0.0)
        if DOT:
            acc = _dot(taps, sample.to(taps.dtype), acc, PRECISION)
        else:
            acc += taps.to(tl.float32) * sample
    return acc


@triton.jit
def _forward_kernel(x, weight, rate, bias, out, channels, outputs, height,
                    width, out_height, out_width, in_group, out_group,
                    rate_groups, stride_y, stride_x, start_y, start_x,
                    dilation_y, dilation_x, tiles, blocks, KH: tl.constexpr,
                    KW: tl.constexpr, BIAS: tl.constexpr, DOT: tl.constexpr,
                    PRECISION: tl.constexpr, BLOCK_OUT: tl.constexpr,
                    BLOCK_IN: tl.constexpr, BLOCK_P: tl.constexpr):
    program = tl.program_id(0)
    block = program % blocks
    tile = program // blocks % tiles
    n = program // blocks // tiles
    position, in_tile, row, column = _positions(
        tile, out_height, out_width, stride_y, stride_x, start_y, start_x,
        BLOCK_P)
    row, column = row[None, :], column[None, :]
    o, in_out = _channels(block, outputs, out_group, DOT, BLOCK_OUT)
    per_rate = channels // rate_groups
    area = height * width
    first = weight + o.to(tl.int64) * (KH * KW) * in_group
    acc = tl.zeros([BLOCK_OUT, BLOCK_P], tl.float32)
    if DOT:
        for start in range(0, in_group, BLOCK_IN):
            inner = start + tl.arange(0, BLOCK_IN)
            in_in = inner < in_group
            c = block // tl.cdiv(out_group, BLOCK_OUT) * in_group + inner
            r = tl.load(
                rate + n * rate_groups + c // per_rate, mask=in_in, other=0.0)
            acc = _forward_channels(
                acc,
                _planes(x, n, channels, c, area)[:, None], r[:, None],
                first[:, None] + inner[None, :],
                in_out[:, None] & in_in[None, :], row, column,
                in_in[:, None] & in_tile[None, :], height, width, dilation_y,
                dilation_x, in_group, KH, KW, DOT, PRECISION)
    else:
        for inner in range(in_group):
            c = o // out_group * in_group + inner
            r = tl.load(
                rate + n * rate_groups + c // per_rate, mask=in_out, other=0.0)
            acc = _forward_channels(
                acc,
                _planes(x, n, channels, c, area)[:, None], r[:, None],
                first[:, None] + inner, in_out[:, None], row, column,
                in_out[:, None] & in_tile[None, :], height, width, dilation_y,
                dilation_x, in_group, KH, KW, DOT, PRECISION)
    if BIAS:
        constant = tl.load(bias + o, mask=in_out, other=0.0)
        acc += constant.to(tl.float32)[:, None]
    tl.store(
        _planes(out, n, outputs, o, out_height * out_width)[:, None] +
        position[None, :],
        acc.to(out.dtype.element_ty),
        mask=in_out[:, None] & in_tile[None, :])


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
    position, in_tile, row, column = _positions(
        tile, out_height, out_width, stride_y, stride_x, start_y, start_x,
        BLOCK_P)
    c, in_in = _channels(block, channels, in_group, DOT, BLOCK_IN)
    out_area = out_height * out_width
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
                _planes(grad, n, outputs, o, out_area)[:, None] +
                position[None, :],
                mask=in_out[:, None] & in_tile[None, :],
                other=0.0)
            acc = _dot(taps, g, acc, PRECISION)
    else:
        for inner in range(out_group):
            o = c // in_group * out_group + inner
            taps = tl.load(
                first + o.to(tl.int64)[:, None] * line,
                mask=in_in[:, None],
                other=0.0).to(tl.float32)
            g = tl.load(
                _planes(grad, n, outputs, o, out_area)[:, None] +
                position[None, :],
                mask=in_in[:, None] & in_tile[None, :],
                other=0.0).to(tl.float32)
            acc += taps * g
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
        r = tl.load(
            rate + n * rate_groups + c // (channels // rate_groups),
            mask=in_in,
            other=0.0)[:, None]
        plane = _planes(x, n, channels, c, height * width)[:, None]
        row, column = row[None, :], column[None, :]
        i = tap // KW - KH // 2
        j = tap % KW - KW // 2
        step_y, step_x = dilation_y * i, dilation_x * j
        if i == 0:
            if j == 0:
                slope = tl.zeros([BLOCK_IN, BLOCK_P], tl.float32)
            else:
                slope = _slope(plane, r, row, column, mask, height, width,
                               step_y, step_x, False, True)
        else:
            if j == 0:
                slope = _slope(plane, r, row, column, mask, height, width,
                               step_y, step_x, True, False)
            else:
                slope = _slope(plane, r, row, column, mask, height, width,
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
    # `_channels` again, for the lanes of this part alone.
    if DOT:
        in_blocks = tl.cdiv(in_group, BLOCK_IN)
        inner = block % in_blocks * BLOCK_IN + lane
        c = block // in_blocks * in_group + inner
        in_in = inner < in_group
    else:
        c = block * BLOCK_IN + lane
        in_in = c < channels
    position, in_tile, row, column = _positions(tile, height, width, 1, 1,
                                                -start_y, -start_x, BLOCK_P)
    row, column = row[None, :], column[None, :]
    mask = in_in[:, None] & in_tile[None, :]
    r = tl.load(
        rate + n * rate_groups + c // (channels // rate_groups),
        mask=in_in,
        other=0.0)[:, None]
    out_area = out_height * out_width
    slot = (local_n.to(tl.int64) * blocks + local_block) * BLOCK_IN + lane
    acc = tl.zeros([ROWS, BLOCK_P], tl.float32)
    for tap in range(KH * KW):
        product = products + ((slot * (KH * KW) + tap) * out_area)[:, None]
        if STRIDE_Y == 1 and STRIDE_X == 1:
            # The adjoint of a shift is the opposite shift.
            acc += _sample_tap(product, r, row, column, mask, out_height,
                               out_width, -dilation_y, -dilation_x, tap, KH,
                               KW)
        else:
            acc += _collect_tap(product, r, row, column, mask, out_height,
                                out_width, dilation_y * (tap // KW - KH // 2),
                                dilation_x * (tap % KW - KW // 2), STRIDE_Y,
                                STRIDE_X)
    tl.store(
        _planes(grad_x, n, channels, c, height * width)[:, None] +
        position[None, :],
        acc.to(grad_x.dtype.element_ty),
        mask=mask)


@triton.jit
def _weight_kernel(grad, x, rate, parts, batch, channels, outputs, height,
                   width, out_height, out_width, in_group, out_group,
                   rate_groups, stride_y, stride_x, start_y, start_x,
                   dilation_y, dilation_x, tiles, blocks, in_blocks, share,
                   KH: tl.constexpr, KW: tl.constexpr, DOT: tl.constexpr,
                   PRECISION: tl.constexpr, BLOCK_OUT: tl.constexpr,
                   BLOCK_IN: tl.constexpr, BLOCK_P: tl.constexpr):
    """One tap's weight gradient over one share of the positions."""
    program = tl.program_id(0)
    tap = program % (KH * KW)
    in_block = program // (KH * KW) % in_blocks
    block = program // (KH * KW) // in_blocks % blocks
    part = program // (KH * KW) // in_blocks // blocks
    o, in_out = _channels(block, outputs, out_group, DOT, BLOCK_OUT)
    if DOT:
        inner = in_block * BLOCK_IN + tl.arange(0, BLOCK_IN)
        in_in = inner < in_group
        c = block // tl.cdiv(out_group, BLOCK_OUT) * in_group + inner
        acc = tl.zeros([BLOCK_OUT, BLOCK_IN], tl.float32)
    else:
        c = o // out_group * in_group + in_block
        in_in = in_out
        acc = tl.zeros([BLOCK_OUT, BLOCK_P], tl.float32)
    per_rate = channels // rate_groups
    last = tl.minimum((part + 1) * share, batch * tiles)
    for step in range(part * share, last):
        n = step // tiles
        position, in_tile, row, column = _positions(
            step % tiles, out_height, out_width, stride_y, stride_x, start_y,
            start_x, BLOCK_P)
        g = tl.load(
            _planes(grad, n, outputs, o, out_height * out_width)[:, None] +
            position[None, :],
            mask=in_out[:, None] & in_tile[None, :],
            other=0.0)
        r = tl.load(
            rate + n * rate_groups + c // per_rate, mask=in_in, other=0.0)
        plane = _planes(x, n, channels, c, height * width)
        # (channels, positions); the product needs its transpose.
        mask = in_in[:, None] & in_tile[None, :]
        sample = _sample_tap(plane[:, None], r[:, None], row[None, :],
                             column[None, :], mask, height, width, dilation_y,
                             dilation_x, tap, KH, KW)
        if DOT:
            acc = _dot(g, tl.trans(sample.to(g.dtype)), acc, PRECISION)
        else:
            acc += g.to(tl.float32) * sample
    line = part.to(tl.int64) * outputs + o
    address = parts + (line * (KH * KW) + tap) * in_group
    if DOT:
        tl.store(
            address[:, None] + inner[None, :],
            acc,
            mask=in_out[:, None] & in_in[None, :])
    else:
        tl.store(address + in_block, tl.sum(acc, axis=1), mask=in_out)


def _power(value: int, low: int, high: int) -> int:
    """Smallest power of two that holds ``value``, within the bounds."""
    return min(max(triton.next_power_of_2(max(value, 1)), low), high)


def _uses_dot(in_group: int, out_group: int) -> bool:
    return in_group * out_group > 16


def _warps(sums: int, samples: int) -> int:
    """Fewer than 64 sums and 32 samples a thread, or registers spill."""
    return 8 if sums >= 8192 or samples >= 4096 else 4


def forward_blocks(batch: int, in_group: int, out_group: int, groups: int,
                   positions: int, half: bool) -> dict:
    """Tile of the forward: outputs, inputs a step, positions.

    Tall tiles sample least; lowered to 64 while fewer programs than FILL.
    Float32 keeps half the height, its operands being twice as large.
    """
    if not _uses_dot(in_group, out_group):
        block_p = _power(positions, 16, 128)
        return dict(BLOCK_OUT=8, BLOCK_IN=1, BLOCK_P=block_p)
    block_out = _power(out_group, 16, 256 if half else 128)
    block_p = _power(positions, 16, 64 if block_out > 64 else 128)
    while block_out > 64 and batch * groups * triton.cdiv(
            out_group, block_out) * triton.cdiv(positions, block_p) < FILL:
        block_out //= 2
    return dict(
        BLOCK_OUT=block_out,
        BLOCK_IN=_power(in_group, 16, 32),
        BLOCK_P=block_p)


def products_blocks(in_group: int, out_group: int, positions: int,
                    half: bool) -> dict:
    """Tile of ``W^T grad``: inputs, outputs a step, positions."""
    if not _uses_dot(in_group, out_group):
        block_p = _power(positions, 16, 128)
        return dict(BLOCK_OUT=1, BLOCK_IN=8, BLOCK_P=block_p)
    return dict(
        BLOCK_OUT=_power(out_group, 16, 64 if half else 32),
        BLOCK_IN=_power(in_group, 16, 64),
        BLOCK_P=_power(positions, 16, 64))


def weight_blocks(in_group: int, out_group: int, positions: int,
                  half: bool) -> dict:
    """Tile of the weight gradient: outputs, inputs, positions a step."""
    if not _uses_dot(in_group, out_group):
        block_p = _power(positions, 16, 128)
        return dict(BLOCK_OUT=8, BLOCK_IN=1, BLOCK_P=block_p)
    return dict(
        BLOCK_OUT=_power(out_group, 16, 256 if half else 128),
        BLOCK_IN=_power(in_group, 16, 64),
        BLOCK_P=_power(positions, 16, 32))


def _blocks_of(channels: int, groups: int, block: int, dot: bool) -> int:
    """Blocks that cover the channels; inside their groups for the dot."""
    if dot:
        return groups * triton.cdiv(channels // groups, block)
    return triton.cdiv(channels, block)


def _precision(x: Tensor) -> str:
    """TF32 only where torch's own float32 products may use it."""
    if x.dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32:
        return 'tf32'
    return 'ieee'


def _check_size(x: Tensor, height: int, width: int) -> None:
    if max(x.shape[2] * x.shape[3], height * width) > LARGEST_PLANE:
        raise ValueError('the Triton kernel wants maps of at most 2**30 '
                         f'pixels, got {tuple(x.shape)} giving '
                         f'{height} x {width}')


def _taps_first(weight: Tensor) -> Tensor:
    """(C_out, k_h, k_w, C / groups), so that one tap's weights are a line."""
    return weight.permute(0, 2, 3, 1).contiguous()


def _geometry(kernel, stride, padding, dilation) -> dict:
    """Where position 0's middle tap reads, and the steps from there."""
    return dict(
        stride_y=stride[0],
        stride_x=stride[1],
        start_y=dilation[0] * (kernel[0] // 2) - padding[0],
        start_x=dilation[1] * (kernel[1] // 2) - padding[1],
        dilation_y=dilation[0],
        dilation_x=dilation[1])


def forward(x: Tensor, weight: Tensor, rate: Tensor, bias: Tensor | None,
            stride, padding, dilation, groups: int) -> Tensor:
    """Adaptive dilated convolution; arguments as in reference.py.

    Args:
        x (Tensor): (N, C, H, W), float32, float16 or bfloat16. Read as
            contiguous: another layout is copied first.
        weight (Tensor): (C_out, C / groups, k_h, k_w), dtype of ``x``.
        rate (Tensor): (N, g), float32.
        bias (Tensor, optional): (C_out,).
        stride (Sequence[int]): Rows, columns; so are padding and dilation.
        padding (Sequence[int]): Zeros before and after each axis.
        dilation (Sequence[int]): Nominal dilation.
        groups (int): Convolution groups.

    Returns:
        Tensor: (N, C_out, H_out, W_out), contiguous, dtype of ``x``.

    Raises:
        ValueError: If a map has more than 2**30 pixels.
    """
    batch, channels, height, width = x.shape
    outputs, in_group, *kernel = weight.shape
    out_group = outputs // groups
    size = [(x.shape[2 + a] + 2 * padding[a] - dilation[a] *
             (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1)]
    _check_size(x, *size)
    out = torch.empty((batch, outputs, *size), dtype=x.dtype, device=x.device)
    if not out.numel():
        return out
    x, rate, weight = x.contiguous(), rate.contiguous(), _taps_first(weight)
    dot = _uses_dot(in_group, out_group)
    tile = forward_blocks(batch, in_group, out_group, groups,
                          size[0] * size[1], x.dtype != torch.float32)
    tiles = triton.cdiv(size[0] * size[1], tile['BLOCK_P'])
    blocks = _blocks_of(outputs, groups, tile['BLOCK_OUT'], dot)
    with on_device_of(x):
        _forward_kernel[(batch * tiles * blocks, )](
            x,
            weight,
            rate,
            bias,
            out,
            channels,
            outputs,
            height,
            width,
            *size,
            in_group,
            out_group,
            rate.shape[1],
            **_geometry(kernel, stride, padding, dilation),
            tiles=tiles,
            blocks=blocks,
            KH=kernel[0],
            KW=kernel[1],
            BIAS=bias is not None,
            DOT=dot,
            PRECISION=_precision(x),
            **tile,
            num_warps=_warps(tile['BLOCK_OUT'] * tile['BLOCK_P'],
                             tile['BLOCK_IN'] * tile['BLOCK_P']))
    return out


def _input_and_rate(grad, x, weight, rate, stride, padding, dilation, groups,
                    needs_x, needs_rate):
    """Gradients of ``x`` and ``rate``, from slices of ``W^T grad``."""
    batch, channels, height, width = x.shape
    outputs, in_group, *kernel = weight.shape
    out_group = outputs // groups
    out_height, out_width = grad.shape[2:]
    positions, taps = out_height * out_width, kernel[0] * kernel[1]
    dot = _uses_dot(in_group, out_group)
    tile = products_blocks(in_group, out_group, positions,
                           x.dtype != torch.float32)
    block_in = tile['BLOCK_IN']
    tiles = triton.cdiv(positions, tile['BLOCK_P'])
    blocks = _blocks_of(channels, groups, block_in, dot)
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
    block_p = _power(height * width, 16, 128)
    pixel_tiles = triton.cdiv(height * width, block_p)
    geometry = _geometry(kernel, stride, padding, dilation)
    weight = _taps_first(weight)
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
                **geometry,
                tiles=tiles,
                blocks=some,
                KH=kernel[0],
                KW=kernel[1],
                NEEDS_X=needs_x,
                NEEDS_RATE=needs_rate,
                DOT=dot,
                PRECISION=_precision(x),
                **tile,
                num_warps=_warps(block_in * tile['BLOCK_P'],
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
                geometry['start_y'],
                geometry['start_x'],
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


def _weight(grad, x, rate, weight_shape, stride, padding, dilation, groups):
    """Gradient of the weight, in float32 parts that are added at the end."""
    batch, channels, height, width = x.shape
    outputs, in_group, *kernel = weight_shape
    out_group = outputs // groups
    out_height, out_width = grad.shape[2:]
    taps = kernel[0] * kernel[1]
    dot = _uses_dot(in_group, out_group)
    tile = weight_blocks(in_group, out_group, out_height * out_width,
                         x.dtype != torch.float32)
    tiles = triton.cdiv(out_height * out_width, tile['BLOCK_P'])
    blocks = _blocks_of(outputs, groups, tile['BLOCK_OUT'], dot)
    in_blocks = triton.cdiv(in_group, tile['BLOCK_IN'])
    # Four programs a multiprocessor, each with at least 8 steps of work.
    parts = max(4 * FILL // (taps * blocks * in_blocks), 1)
    parts = min(parts, triton.cdiv(batch * tiles, 8))
    share = triton.cdiv(batch * tiles, parts)
    sums = torch.empty((parts, outputs, *kernel, in_group),
                       dtype=torch.float32,
                       device=x.device)
    _weight_kernel[(parts * taps * blocks * in_blocks, )](
        grad,
        x,
        rate,
        sums,
        batch,
        channels,
        outputs,
        height,
        width,
        out_height,
        out_width,
        in_group,
        out_group,
        rate.shape[1],
        **_geometry(kernel, stride, padding, dilation),
        tiles=tiles,
        blocks=blocks,
        in_blocks=in_blocks,
        share=share,
        KH=kernel[0],
        KW=kernel[1],
        DOT=dot,
        PRECISION=_precision(x),
        **tile,
        num_warps=_warps(tile['BLOCK_OUT'] * tile['BLOCK_IN'],
                         tile['BLOCK_P'] * tile['BLOCK_IN']))
    return sums.sum(0).permute(0, 3, 1, 2).to(x.dtype).contiguous()


def backward(grad: Tensor, x: Tensor, weight: Tensor, rate: Tensor, stride,
             padding, dilation, groups: int, output_mask
             ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of ``x``, ``weight`` and ``rate``; no atomics.

    Args:
        grad (Tensor): (N, C_out, H_out, W_out), dtype of ``x``.
        x (Tensor): Input of the forward; so are weight, rate, stride,
            padding, dilation and groups.
        weight (Tensor): See `forward`.
        rate (Tensor): See `forward`.
        stride (Sequence[int]): See `forward`.
        padding (Sequence[int]): See `forward`.
        dilation (Sequence[int]): See `forward`.
        groups (int): See `forward`.
        output_mask (Sequence[bool]): Which of the three gradients to
            compute.

    Returns:
        tuple[Tensor | None, Tensor | None, Tensor | None]: Contiguous; of
        ``x`` and ``weight`` in their dtype, of ``rate`` in float32.
    """
    needs_x, needs_weight, needs_rate = output_mask
    if not grad.numel() or not x.numel():
        return (torch.zeros(x.shape, dtype=x.dtype, device=x.device)
                if needs_x else None,
                torch.zeros(
                    weight.shape, dtype=weight.dtype, device=x.device)
                if needs_weight else None,
                torch.zeros(
                    rate.shape, dtype=rate.dtype, device=x.device)
                if needs_rate else None)
    _check_size(x, *grad.shape[2:])
    grad, x, rate = grad.contiguous(), x.contiguous(), rate.contiguous()
    grad_x = grad_weight = grad_rate = None
    with on_device_of(x):
        if needs_x or needs_rate:
            grad_x, grad_rate = _input_and_rate(grad, x, weight, rate, stride,
                                                padding, dilation, groups,
                                                needs_x, needs_rate)
        if needs_weight:
            grad_weight = _weight(grad, x, rate, weight.shape, stride,
                                  padding, dilation, groups)
    return grad_x, grad_weight, grad_rate
