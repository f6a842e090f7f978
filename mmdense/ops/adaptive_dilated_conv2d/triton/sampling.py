"""What the kernels read: bilinear samples of a tap, and their slopes."""
import os

import triton
import triton.language as tl

from mmdense.ops.channel_shift.triton import split_offset

# Triton 3.6's interpreter keeps bfloat16 as bits and multiplies the bits.
INTERPRETED = tl.constexpr(os.environ.get('TRITON_INTERPRET', '0') == '1')


@triton.jit
def tile_dot(a, b, acc, PRECISION: tl.constexpr):
    if INTERPRETED:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.jit
def below(index, size):
    # As an unsigned number a negative index is past the end: one test of two.
    return index.to(tl.uint32) < size


@triton.jit
def _corners(plane, rate, row, column, mask, height, width, step_y, step_x,
             FRACTION_Y: tl.constexpr, FRACTION_X: tl.constexpr):
    """Pixels around (row + step_y * rate, column + step_x * rate).

    ``plane`` and ``rate`` are (channels, 1), ``row`` and ``column`` (1,
    positions): whatever depends on one of them alone is computed once, and
    an element costs two additions for its place, two for its address. With
    rates (channels, positions), one for every position, nothing is shared.
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
    top = mask & below(row, height)
    left = below(column, width)
    v00 = tl.load(first, mask=top & left, other=0.0).to(tl.float32)
    v01, v10, v11 = v00, v00, v00
    if FRACTION_X:
        right = below(column + 1, width)
        v01 = tl.load(first + 1, mask=top & right, other=0.0).to(tl.float32)
    if FRACTION_Y:
        second = plane + width + start
        bottom = mask & below(row + 1, height)
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
def sample_tap(plane, rate, row, column, mask, height, width, dilation_y,
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
def slope_of(plane, rate, row, column, mask, height, width, step_y, step_x,
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
def positions_of(tile, out_height, out_width, stride_y, stride_x, start_y,
               start_x, BLOCK: tl.constexpr):
    """Output positions of a tile, and where their middle tap reads."""
    position = tile * BLOCK + tl.arange(0, BLOCK)
    row = position // out_width * stride_y + start_y
    column = position % out_width * stride_x + start_x
    return position, position < out_height * out_width, row, column


@triton.jit
def channels_of(block, channels, per_group, DOT: tl.constexpr,
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
def rates_of(rate, n, channels, rate_groups, c, exists, position, in_tile,
             area, PIXELS: tl.constexpr):
    """Rates of channels: (channels, 1), or with PIXELS (channels, positions).
    """
    # Channel c belongs to group floor(c * g / C): neighbours share.
    group = n.to(tl.int64) * rate_groups + c // (channels // rate_groups)
    if PIXELS:
        rates = tl.load(
            rate + (group * area)[:, None] + position[None, :],
            mask=exists[:, None] & in_tile[None, :],
            other=0.0)
    else:
        rates = tl.load(rate + group, mask=exists, other=0.0)[:, None]
    return rates


@triton.jit
def planes_of(tensor, n, channels, channel, area):
    return tensor + (n.to(tl.int64) * channels + channel) * area
