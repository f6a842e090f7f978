"""The definition of the per-channel bilinear shift, in plain PyTorch."""
import torch
from torch import Tensor

# Beyond this many pixels every map has ended. It is exact in float32, and
# small enough that adding a position to it cannot overflow an index.
FAR = 2.0**30


def split(offset: Tensor) -> tuple[Tensor, Tensor]:
    """Split offsets in pixels into whole pixels and the rest in [0, 1).

    Taking the floor, and no gradient through it, is what makes the derivative
    at an integer offset the right one. NaN and infinity split into whole 0
    and rest NaN: a harmless index, and a weight that spreads NaN.

    Args:
        offset (Tensor): Any shape, floating point.

    Returns:
        tuple[Tensor, Tensor]: int64 and ``offset.dtype``, shapes as given.
    """
    floor = offset.detach().floor()
    whole = floor.nan_to_num(nan=0.0).clamp(-FAR, FAR).long()
    return whole, offset - floor


def read_axis(x: Tensor, whole: Tensor, rest: Tensor, axis: int) -> Tensor:
    """Read one axis of every channel at the positions ``whole + rest``.

    Linear interpolation between two neighbours; what lies outside the map
    counts as zero.

    Args:
        x (Tensor): (N, C, H, W).
        whole (Tensor): Whole pixels, (N, C, L), int64.
        rest (Tensor): Their fractions in [0, 1), (N, C, L) or (N, C, 1),
            dtype of ``x``.
        axis (int): 2 for rows, 3 for columns.

    Returns:
        Tensor: ``x`` with ``L`` entries along ``axis``.
    """
    size = x.shape[axis]
    other = 5 - axis
    shape = list(x.shape)
    shape[axis] = whole.shape[2]

    def pixel(index: Tensor) -> Tensor:
        inside = ((index >= 0) & (index < size)).unsqueeze(other)
        index = index.clamp(0, max(size - 1, 0)).unsqueeze(other)
        return x.gather(axis, index.expand(shape)).where(inside, 0)

    rest = rest.unsqueeze(other)
    return (1 - rest) * pixel(whole) + rest * pixel(whole + 1)


def channel_shift(x: Tensor, offset: Tensor) -> Tensor:
    """Shift every channel by its own offset; the definition.

    Args:
        x (Tensor): (N, C, H, W).
        offset (Tensor): (dy, dx) in pixels, (N, C, 2), float32 (float64 for
            a float64 ``x``); computes in this dtype.

    Returns:
        Tensor: (N, C, H, W), dtype of ``x``.
    """
    height, width = x.shape[2:]
    whole, rest = split(offset)
    out = x.to(offset.dtype)
    for a, size in enumerate((height, width)):
        position = torch.arange(size, device=x.device)
        out = read_axis(out, whole[..., a, None] + position,
                        rest[..., a, None], 2 + a)
    # Of the two axes one may read zeros only, and hide what the other is.
    finite = offset.isfinite().all(-1)[..., None, None]
    return out.where(finite, torch.nan).to(x.dtype)
