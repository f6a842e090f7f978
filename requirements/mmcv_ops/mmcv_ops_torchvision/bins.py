"""Max pooling over bins of unequal numbers of samples."""
from collections.abc import Callable

import torch
from torch import Tensor


def largest_samples(
        rows: Tensor, columns: Tensor, channels: int, read: Callable,
        like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The largest sample of every bin, and where in the bin it lies.

    One pass over the positions (i, j) inside a bin, all bins that have such
    a sample at once.

    Args:
        rows (Tensor): Rows of samples in every bin, shape (k, h).
        columns (Tensor): Columns of samples in every bin, shape (k, w).
        read (Callable): ``read(k, i, j)`` gives the samples (i, j) of the
            bins of the regions ``k``, shape (len(k), h, w, channels).
        like (Tensor): Gives dtype and device.

    Returns:
        tuple[Tensor]: The largest sample, zero in an empty bin, its row i and
        column j, -1 in an empty bin; all (k, h, w, channels).
    """
    shape = (len(rows), rows.shape[1], columns.shape[1], channels)
    best = like.new_full(shape, -torch.inf)
    best_i, best_j = (rows.new_full(shape, -1) for _ in range(2))
    for i in range(_largest(rows)):
        for j in range(_largest(columns)):
            inside = (i < rows)[:, :, None] & (j < columns)[:, None]
            k = inside.flatten(1).any(1).nonzero()[:, 0]
            sample = read(k, i, j)
            higher = (sample > best[k]) & inside[k, ..., None]
            best[k] = torch.where(higher, sample, best[k])
            best_i[k] = best_i[k].masked_fill(higher, i)
            best_j[k] = best_j[k].masked_fill(higher, j)
    return best.masked_fill(best_i < 0, 0), best_i, best_j


def _largest(counts: Tensor) -> int:
    return int(counts.max()) if counts.numel() else 0


def pixels(input: Tensor) -> Tensor:
    """input (N, C, H, W) as rows (N * H * W, C), to read by index."""
    return input.permute(0, 2, 3, 1).reshape(-1, input.shape[1])
