"""The gradient of the weight: its kernel and launch."""
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
    tile_dot,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.tiles import (
    FILL,
    blocks_of,
    geometry,
    precision,
    uses_dot,
    warps,
    weight_blocks,
)


@triton.jit
def _weight_kernel(grad, x, rate, parts, batch, channels, outputs, height,
                   width, out_height, out_width, in_group, out_group,
                   rate_groups, stride_y, stride_x, start_y, start_x,
                   dilation_y, dilation_x, tiles, blocks, in_blocks, share,
                   KH: tl.constexpr, KW: tl.constexpr, PIXELS: tl.constexpr,
                   DOT: tl.constexpr, PRECISION: tl.constexpr,
                   BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr,
                   BLOCK_P: tl.constexpr):
    """One tap's weight gradient over one share of the positions."""
    program = tl.program_id(0)
    tap = program % (KH * KW)
    in_block = program // (KH * KW) % in_blocks
    block = program // (KH * KW) // in_blocks % blocks
    part = program // (KH * KW) // in_blocks // blocks
    o, in_out = channels_of(block, outputs, out_group, DOT, BLOCK_OUT)
    if DOT:
        inner = in_block * BLOCK_IN + tl.arange(0, BLOCK_IN)
        in_in = inner < in_group
        c = block // tl.cdiv(out_group, BLOCK_OUT) * in_group + inner
        acc = tl.zeros([BLOCK_OUT, BLOCK_IN], tl.float32)
    else:
        c = o // out_group * in_group + in_block
        in_in = in_out
        acc = tl.zeros([BLOCK_OUT, BLOCK_P], tl.float32)
    out_area = out_height * out_width
    last = tl.minimum((part + 1) * share, batch * tiles)
    for step in range(part * share, last):
        n = step // tiles
        position, in_tile, row, column = positions_of(
            step % tiles, out_height, out_width, stride_y, stride_x, start_y,
            start_x, BLOCK_P)
        g = tl.load(
            planes_of(grad, n, outputs, o, out_area)[:, None] +
            position[None, :],
            mask=in_out[:, None] & in_tile[None, :],
            other=0.0)
        r = rates_of(rate, n, channels, rate_groups, c, in_in, position,
                     in_tile, out_area, PIXELS)
        plane = planes_of(x, n, channels, c, height * width)
        # (channels, positions); the product needs its transpose.
        mask = in_in[:, None] & in_tile[None, :]
        sample = sample_tap(plane[:, None], r, row[None, :],
                             column[None, :], mask, height, width, dilation_y,
                             dilation_x, tap, KH, KW)
        if DOT:
            acc = tile_dot(g, tl.trans(sample.to(g.dtype)), acc, PRECISION)
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


def weight_gradient(grad: Tensor, x: Tensor, rate: Tensor, weight_shape,
                    stride, padding, dilation, groups: int) -> Tensor:
    """Gradient of the weight, in float32 parts that are added at the end."""
    batch, channels, height, width = x.shape
    outputs, in_group, *kernel = weight_shape
    out_group = outputs // groups
    out_height, out_width = grad.shape[2:]
    taps = kernel[0] * kernel[1]
    dot = uses_dot(in_group, out_group)
    tile = weight_blocks(in_group, out_group, out_height * out_width,
                         x.dtype != torch.float32)
    tiles = triton.cdiv(out_height * out_width, tile['BLOCK_P'])
    blocks = blocks_of(outputs, groups, tile['BLOCK_OUT'], dot)
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
        **geometry(kernel, stride, padding, dilation),
        tiles=tiles,
        blocks=blocks,
        in_blocks=in_blocks,
        share=share,
        KH=kernel[0],
        KW=kernel[1],
        PIXELS=rate.dim() == 4,
        DOT=dot,
        PRECISION=precision(x),
        **tile,
        num_warps=warps(tile['BLOCK_OUT'] * tile['BLOCK_IN'],
                         tile['BLOCK_P'] * tile['BLOCK_IN']))
    return sums.sum(0).permute(0, 3, 1, 2).to(x.dtype).contiguous()
