"""The forward kernel and its launch."""
import torch
import triton
import triton.language as tl
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d.places import output_size
from mmdense.ops.adaptive_dilated_conv2d.triton.sampling import (
    channels_of,
    planes_of,
    positions_of,
    rates_of,
    sample_tap,
    tile_dot,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.tiles import (
    blocks_of,
    check_size,
    forward_blocks,
    geometry,
    precision,
    taps_first,
    uses_dot,
    warps,
)
from mmdense.ops.channel_shift.triton import on_device_of


@triton.jit
def _forward_channels(acc, plane, rate, weight, weight_mask, row, column, mask,
                      height, width, dilation_y, dilation_x, per_group,
                      KH: tl.constexpr, KW: tl.constexpr, DOT: tl.constexpr,
                      PRECISION: tl.constexpr):
    """Add all taps of one block of input channels."""
    # Not unrolled: nine taps at once spill registers and compile for minutes.
    for tap in range(KH * KW):
        sample = sample_tap(plane, rate, row, column, mask, height, width,
                             dilation_y, dilation_x, tap, KH, KW)
        taps = tl.load(weight + tap * per_group, mask=weight_mask, other=0.0)
        if DOT:
            acc = tile_dot(taps, sample.to(taps.dtype), acc, PRECISION)
        else:
            acc += taps.to(tl.float32) * sample
    return acc


@triton.jit
def _forward_kernel(x, weight, rate, bias, out, channels, outputs, height,
                    width, out_height, out_width, in_group, out_group,
                    rate_groups, stride_y, stride_x, start_y, start_x,
                    dilation_y, dilation_x, tiles, blocks, KH: tl.constexpr,
                    KW: tl.constexpr, BIAS: tl.constexpr,
                    PIXELS: tl.constexpr, DOT: tl.constexpr,
                    PRECISION: tl.constexpr, BLOCK_OUT: tl.constexpr,
                    BLOCK_IN: tl.constexpr, BLOCK_P: tl.constexpr):
    program = tl.program_id(0)
    block = program % blocks
    tile = program // blocks % tiles
    n = program // blocks // tiles
    position, in_tile, row, column = positions_of(
        tile, out_height, out_width, stride_y, stride_x, start_y, start_x,
        BLOCK_P)
    row, column = row[None, :], column[None, :]
    o, in_out = channels_of(block, outputs, out_group, DOT, BLOCK_OUT)
    area = height * width
    out_area = out_height * out_width
    first = weight + o.to(tl.int64) * (KH * KW) * in_group
    acc = tl.zeros([BLOCK_OUT, BLOCK_P], tl.float32)
    if DOT:
        for start in range(0, in_group, BLOCK_IN):
            inner = start + tl.arange(0, BLOCK_IN)
            in_in = inner < in_group
            c = block // tl.cdiv(out_group, BLOCK_OUT) * in_group + inner
            r = rates_of(rate, n, channels, rate_groups, c, in_in, position,
                         in_tile, out_area, PIXELS)
            acc = _forward_channels(
                acc,
                planes_of(x, n, channels, c, area)[:, None], r,
                first[:, None] + inner[None, :],
                in_out[:, None] & in_in[None, :], row, column,
                in_in[:, None] & in_tile[None, :], height, width, dilation_y,
                dilation_x, in_group, KH, KW, DOT, PRECISION)
    else:
        for inner in range(in_group):
            c = o // out_group * in_group + inner
            r = rates_of(rate, n, channels, rate_groups, c, in_out, position,
                         in_tile, out_area, PIXELS)
            acc = _forward_channels(
                acc,
                planes_of(x, n, channels, c, area)[:, None], r,
                first[:, None] + inner, in_out[:, None], row, column,
                in_out[:, None] & in_tile[None, :], height, width, dilation_y,
                dilation_x, in_group, KH, KW, DOT, PRECISION)
    if BIAS:
        constant = tl.load(bias + o, mask=in_out, other=0.0)
        acc += constant.to(tl.float32)[:, None]
    tl.store(
        planes_of(out, n, outputs, o, out_area)[:, None] +
        position[None, :],
        acc.to(out.dtype.element_ty),
        mask=in_out[:, None] & in_tile[None, :])


def forward(x: Tensor, weight: Tensor, rate: Tensor, bias: Tensor | None,
            stride, padding, dilation, groups: int) -> Tensor:
    """Adaptive dilated convolution; arguments as in reference.py.

    Args:
        x (Tensor): (N, C, H, W), float32, float16 or bfloat16. Read as
            contiguous: another layout is copied first.
        weight (Tensor): (C_out, C / groups, k_h, k_w), dtype of ``x``.
        rate (Tensor): (N, g) or (N, g, H_out, W_out), float32.
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
    size = output_size(x.shape[2:], kernel, stride, padding, dilation)
    check_size(x, *size)
    out = torch.empty((batch, outputs, *size), dtype=x.dtype, device=x.device)
    if not out.numel():
        return out
    x, rate, weight = x.contiguous(), rate.contiguous(), taps_first(weight)
    dot = uses_dot(in_group, out_group)
    tile = forward_blocks(batch, in_group, out_group, groups,
                          size[0] * size[1], x.dtype != torch.float32)
    tiles = triton.cdiv(size[0] * size[1], tile['BLOCK_P'])
    blocks = blocks_of(outputs, groups, tile['BLOCK_OUT'], dot)
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
            **geometry(kernel, stride, padding, dilation),
            tiles=tiles,
            blocks=blocks,
            KH=kernel[0],
            KW=kernel[1],
            BIAS=bias is not None,
            PIXELS=rate.dim() == 4,
            DOT=dot,
            PRECISION=precision(x),
            **tile,
            num_warps=warps(tile['BLOCK_OUT'] * tile['BLOCK_P'],
                             tile['BLOCK_IN'] * tile['BLOCK_P']))
    return out
