"""The per-channel bilinear shift as runtimes of exported graphs like it."""
import torch
from torch import Tensor


def band(distance: Tensor, offset: Tensor) -> Tensor:
    """Return the weights of a linear interpolation as matrices.

    A shift is the same at every position of a channel, so along one axis it
    is a product with a matrix of ``relu(1 - |pixel - position|)``: two
    weights a position, none for a position beyond the map. Runtimes multiply
    matrices fast, and gather slowly.

    Args:
        distance (Tensor): Pixels minus whole positions, a matrix (P, Q) with
            pixels along one axis and positions along the other.
        offset (Tensor): What is added to each position, (..., 1, 1).

    Returns:
        Tensor: (..., P, Q), dtype of ``offset``.
    """
    return (1 - (distance.to(offset.dtype) - offset).abs()).relu()


def channel_shift(x: Tensor, offset: Tensor) -> Tensor:
    """Shift every channel by its own offset, by two products of matrices.

    Equal to the reference, but that a NaN or an infinity in ``x`` makes its
    row and its column NaN.

    Arguments and result are those of the reference.
    """
    row, column = (torch.arange(size, device=x.device)
                   for size in x.shape[2:])
    # infinity - infinity is NaN, a finite number minus itself 0.
    down, right = (offset + (offset - offset))[..., None, None].unbind(2)
    rows = band(row - row[:, None], down)  # (N, C, H_out, H)
    columns = band(column[:, None] - column, right)  # (N, C, W, W_out)
    return (rows @ x.to(offset.dtype) @ columns).to(x.dtype)
