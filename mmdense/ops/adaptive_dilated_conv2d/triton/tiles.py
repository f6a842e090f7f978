"""Tiles, launches and the places a kernel reads from."""
import torch
import triton
from torch import Tensor

# Programs that keep a large GPU busy: one for each multiprocessor or more.
FILL = 128
# A position plus reference.FAR must be a 32-bit number.
LARGEST_PLANE = 2**30


def power_of_two(value: int, low: int, high: int) -> int:
    """Smallest power of two that holds ``value``, within the bounds."""
    return min(max(triton.next_power_of_2(max(value, 1)), low), high)


def uses_dot(in_group: int, out_group: int) -> bool:
    return in_group * out_group > 16


def warps(sums: int, samples: int) -> int:
    """Fewer than 64 sums and 32 samples a thread, or registers spill."""
    return 8 if sums >= 8192 or samples >= 4096 else 4


def forward_blocks(batch: int, in_group: int, out_group: int, groups: int,
                   positions: int, half: bool) -> dict:
    """Tile of the forward: outputs, inputs a step, positions.

    Tall tiles sample least; lowered to 64 while fewer programs than FILL.
    Float32 keeps half the height, its operands being twice as large.
    """
    if not uses_dot(in_group, out_group):
        block_p = power_of_two(positions, 16, 128)
        return dict(BLOCK_OUT=8, BLOCK_IN=1, BLOCK_P=block_p)
    block_out = power_of_two(out_group, 16, 256 if half else 128)
    block_p = power_of_two(positions, 16, 64 if block_out > 64 else 128)
    while block_out > 64 and batch * groups * triton.cdiv(
            out_group, block_out) * triton.cdiv(positions, block_p) < FILL:
        block_out //= 2
    return dict(
        BLOCK_OUT=block_out,
        BLOCK_IN=power_of_two(in_group, 16, 32),
        BLOCK_P=block_p)


def products_blocks(in_group: int, out_group: int, positions: int,
                    half: bool) -> dict:
    """Tile of ``W^T grad``: inputs, outputs a step, positions."""
    if not uses_dot(in_group, out_group):
        block_p = power_of_two(positions, 16, 128)
        return dict(BLOCK_OUT=1, BLOCK_IN=8, BLOCK_P=block_p)
    return dict(
        BLOCK_OUT=power_of_two(out_group, 16, 64 if half else 32),
        BLOCK_IN=power_of_two(in_group, 16, 64),
        BLOCK_P=power_of_two(positions, 16, 64))


def weight_blocks(in_group: int, out_group: int, positions: int,
                  half: bool) -> dict:
    """Tile of the weight gradient: outputs, inputs, positions a step."""
    if not uses_dot(in_group, out_group):
        block_p = power_of_two(positions, 16, 128)
        return dict(BLOCK_OUT=8, BLOCK_IN=1, BLOCK_P=block_p)
    return dict(
        BLOCK_OUT=power_of_two(out_group, 16, 256 if half else 128),
        BLOCK_IN=power_of_two(in_group, 16, 64),
        BLOCK_P=power_of_two(positions, 16, 32))


def blocks_of(channels: int, groups: int, block: int, dot: bool) -> int:
    """Blocks that cover the channels; inside their groups for the dot."""
    if dot:
        return groups * triton.cdiv(channels // groups, block)
    return triton.cdiv(channels, block)


def precision(x: Tensor) -> str:
    """TF32 only where torch's own float32 products may use it."""
    if x.dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32:
        return 'tf32'
    return 'ieee'


def check_size(x: Tensor, height: int, width: int) -> None:
    if max(x.shape[2] * x.shape[3], height * width) > LARGEST_PLANE:
        raise ValueError('the Triton kernel: maps must have at most 2**30 '
                         f'pixels, got {tuple(x.shape)} giving '
                         f'{height} x {width}')


def taps_first(weight: Tensor) -> Tensor:
    """(C_out, k_h, k_w, C / groups), so that one tap's weights are a line."""
    return weight.permute(0, 2, 3, 1).contiguous()


def geometry(kernel, stride, padding, dilation) -> dict:
    """Where position 0's middle tap reads, and the steps from there."""
    return dict(
        stride_y=stride[0],
        stride_x=stride[1],
        start_y=dilation[0] * (kernel[0] // 2) - padding[0],
        start_x=dilation[1] * (kernel[1] // 2) - padding[1],
        dilation_y=dilation[0],
        dilation_x=dilation[1])
