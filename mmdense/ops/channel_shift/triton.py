"""The per-channel bilinear shift on a GPU.

A shift is constant over a channel's plane, so a tile is whole rows: two rows
are read, each at two neighbouring columns, and only the column test is done
per element. Nothing is gathered and no atomic is used, so results repeat bit
for bit. The input is read through its strides, the output is contiguous.

Checked under Triton's interpreter and by compiling for sm_90; not yet timed
on a GPU.
"""
import contextlib

import torch
import triton
import triton.language as tl
from torch import Tensor

# Elements of one tile: 8 for each of 128 threads.
TILE = 1024
# As in reference.py: past every map, and exact in float32.
FAR = tl.constexpr(2.0**30)


@triton.jit
def split_offset(offset):
    """Whole pixels (int32) and the rest, NaN where offset is not finite."""
    floor = tl.floor(offset)
    # The comparison is false for NaN; converting one to int is undefined.
    whole = tl.where(tl.abs(floor) <= FAR, floor, FAR)
    return whole.to(tl.int32), offset - floor


@triton.jit
def read_pixel(plane, row, column, mask, height, width, row_stride,
               column_stride):
    """Pixels of ``plane`` as float32, zero outside the map."""
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    address = plane + row.to(tl.int64) * row_stride + column * column_stride
    return tl.load(address, mask=mask & inside, other=0.0).to(tl.float32)


@triton.jit
def _load_offset(offset, n, c, batch_stride, mask):
    address = offset + n * batch_stride + c * 2
    return (tl.load(address, mask=mask, other=0.0),
            tl.load(address + 1, mask=mask, other=0.0))


@triton.jit
def _forward_kernel(x, offset, out, rows, channels, height, width, stride_n,
                    stride_c, stride_h, stride_w, offset_stride,
                    ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    in_rows = row < rows
    plane = row // height
    i = (row % height).to(tl.int32)[:, None]
    n, c = plane // channels, plane % channels
    dy, dx = _load_offset(offset, n, c, offset_stride, in_rows)
    whole_y, rest_y = split_offset(dy[:, None])
    whole_x, rest_x = split_offset(dx[:, None])
    mask = in_rows[:, None] & (column < width)
    start = (x + n * stride_n + c * stride_c)[:, None]
    y, z = i + whole_y, column + whole_x
    v00 = read_pixel(start, y, z, mask, height, width, stride_h, stride_w)
    v01 = read_pixel(start, y, z + 1, mask, height, width, stride_h, stride_w)
    v10 = read_pixel(start, y + 1, z, mask, height, width, stride_h, stride_w)
    v11 = read_pixel(start, y + 1, z + 1, mask, height, width, stride_h,
                     stride_w)
    top = (1 - rest_x) * v00 + rest_x * v01
    bottom = (1 - rest_x) * v10 + rest_x * v11
    value = (1 - rest_y) * top + rest_y * bottom
    tl.store(
        out + row[:, None] * width + column,
        value.to(out.dtype.element_ty),
        mask=mask)


@triton.jit
def _offset_kernel(grad, x, offset, out, channels, height, width, grad_n,
                   grad_c, grad_h, grad_w, stride_n, stride_c, stride_h,
                   stride_w, offset_stride, ROWS: tl.constexpr,
                   COLUMNS: tl.constexpr):
    plane = tl.program_id(0).to(tl.int64)
    n, c = plane // channels, plane % channels
    dy, dx = _load_offset(offset, n, c, offset_stride, True)
    whole_y, rest_y = split_offset(dy)
    whole_x, rest_x = split_offset(dx)
    start = x + n * stride_n + c * stride_c
    upstream = grad + n * grad_n + c * grad_c
    slope_y = tl.zeros([ROWS, COLUMNS], tl.float32)
    slope_x = tl.zeros([ROWS, COLUMNS], tl.float32)
    for top_row in range(0, height, ROWS):
        i = top_row + tl.arange(0, ROWS)[:, None]
        for left in range(0, width, COLUMNS):
            j = left + tl.arange(0, COLUMNS)[None, :]
            mask = (i < height) & (j < width)
            y, z = i + whole_y, j + whole_x
            g = read_pixel(upstream, i, j, mask, height, width, grad_h, grad_w)
            v00 = read_pixel(start, y, z, mask, height, width, stride_h,
                             stride_w)
            v01 = read_pixel(start, y, z + 1, mask, height, width, stride_h,
                             stride_w)
            v10 = read_pixel(start, y + 1, z, mask, height, width, stride_h,
                             stride_w)
            v11 = read_pixel(start, y + 1, z + 1, mask, height, width,
                             stride_h, stride_w)
            slope_y += g * ((1 - rest_x) * (v10 - v00) + rest_x * (v11 - v01))
            slope_x += g * ((1 - rest_y) * (v01 - v00) + rest_y * (v11 - v10))
    tl.store(out + plane * 2, tl.sum(slope_y))
    tl.store(out + plane * 2 + 1, tl.sum(slope_x))


def on_device_of(x: Tensor):
    """Launch on the GPU that holds ``x``, which need not be the current."""
    if x.is_cuda:
        return torch.cuda.device(x.device)
    return contextlib.nullcontext()


def tile_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of one tile: powers of two, about TILE elements."""
    columns = min(triton.next_power_of_2(max(width, 1)), TILE)
    rows = min(triton.next_power_of_2(max(height, 1)), TILE // columns)
    return max(rows, 1), columns


def _batch_stride(offset: Tensor) -> int:
    """Numbers from one sample's offsets to the next; 0 where shared."""
    return offset.shape[-2] * 2 if offset.dim() == 3 else 0


def forward(x: Tensor, offset: Tensor) -> Tensor:
    """Shift every channel by its own offset.

    Args:
        x (Tensor): (N, C, H, W), float32, float16 or bfloat16, any strides.
        offset (Tensor): (dy, dx) in pixels, (N, C, 2) or (C, 2), float32.

    Returns:
        Tensor: (N, C, H, W), contiguous, dtype of ``x``.
    """
    batch, channels, height, width = x.shape
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if not out.numel():
        return out
    offset = offset.contiguous()
    rows = batch * channels * height
    # A tile of rows runs on from one plane into the next, so even 1 x 1
    # maps fill it.
    _, block = tile_of(height, width)
    grid = (triton.cdiv(rows, TILE // block), triton.cdiv(width, block))
    with on_device_of(x):
        _forward_kernel[grid](
            x,
            offset,
            out,
            rows,
            channels,
            height,
            width,
            *x.stride(),
            _batch_stride(offset),
            ROWS=TILE // block,
            COLUMNS=block,
            num_warps=4)
    return out


def backward(grad: Tensor, x: Tensor, offset: Tensor, needs_x: bool,
             needs_offset: bool) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the shift; the right derivative at integer offsets.

    Args:
        grad (Tensor): (N, C, H, W), gradient of the output, any strides.
        x (Tensor): (N, C, H, W), input of the forward.
        offset (Tensor): (N, C, 2) or (C, 2), float32.
        needs_x (bool): Compute the gradient of ``x``.
        needs_offset (bool): Compute the gradient of ``offset``.

    Returns:
        tuple[Tensor | None, Tensor | None]: Gradients of ``x`` (contiguous,
        its dtype) and of ``offset`` (float32, its shape).
    """
    grad_x = grad_offset = None
    offset = offset.contiguous()
    if needs_x:
        # The adjoint of the shift by d is the shift by -d.
        grad_x = forward(grad, -offset)
    if needs_offset:
        batch, channels, height, width = x.shape
        grad_offset = torch.zeros(
            (batch, channels, 2), dtype=torch.float32, device=x.device)
        if x.numel():
            rows, columns = tile_of(height, width)
            with on_device_of(x):
                _offset_kernel[(batch * channels, )](
                    grad,
                    x,
                    offset,
                    grad_offset,
                    channels,
                    height,
                    width,
                    *grad.stride(),
                    *x.stride(),
                    _batch_stride(offset),
                    ROWS=rows,
                    COLUMNS=columns,
                    num_warps=4 if rows * columns >= TILE else 1)
        if offset.dim() == 2:
            grad_offset = grad_offset.sum(0)
    return grad_x, grad_offset
