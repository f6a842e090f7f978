"""PSANet's masks: every pixel's attention over the map, cut from a window.

Hengshuang Zhao et al., PSANet: Point-wise Spatial Attention Network for
Scene Parsing, ECCV 2018.
"""
import torch
from torch import Tensor


def psamask_forward(input: Tensor, output: Tensor, psa_type: int, num_: int,
                    h_feature: int, w_feature: int, h_mask: int, w_mask: int,
                    half_h_mask: int, half_w_mask: int) -> None:
    """Writes output (N, H * W, H, W) from windows input (N, h * w, H, W).

    ``output[n, i * W + j, y, x]`` is the window's value at row ``i - y +
    half_h_mask`` and column ``j - x + half_w_mask``, zero outside it.

    Args:
        psa_type (int): 0 collects as above, 1 distributes: the two pixels
            change places in the output.
    """
    full = _gather(input, _places(h_feature, h_feature, half_h_mask, -1),
                   _places(w_feature, w_feature, half_w_mask, -1), h_mask,
                   w_mask)
    full = full.view(num_, h_feature * w_feature, -1)
    output.copy_((full.transpose(1, 2) if psa_type else full).view_as(output))


def psamask_backward(grad_output: Tensor, grad_input: Tensor, psa_type: int,
                     num_: int, h_feature: int, w_feature: int, h_mask: int,
                     w_mask: int, half_h_mask: int, half_w_mask: int) -> None:
    """Writes grad_input (N, h * w, H, W), read by the inverse positions."""
    full = grad_output.reshape(num_, h_feature * w_feature, -1)
    if psa_type:
        full = full.transpose(1, 2)
    grad_input.copy_(
        _gather(
            full.reshape(grad_output.shape),
            _places(h_mask, h_feature, half_h_mask, 1),
            _places(w_mask, w_feature, half_w_mask, 1), h_feature, w_feature))


def _places(size: int, pixels: int, half: int, sign: int) -> Tensor:
    """``i + sign * (y - half)``, shape (size, pixels)."""
    return torch.arange(size)[:, None] + sign * (torch.arange(pixels) - half)


def _gather(values: Tensor, row: Tensor, column: Tensor, rows: int,
            columns: int) -> Tensor:
    """values (N, rows * columns, H, W) at a row and a column of every pixel.

    Args:
        row (Tensor): Shape (a, H).
        column (Tensor): Shape (b, W).

    Returns:
        Tensor: Shape (N, a * b, H, W), zero where row or column is outside.
    """
    row, column = row[:, None, :, None], column[:, None, :]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    index = row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)
    index, inside = (t.flatten(0, 1).to(values.device)
                     for t in (index, inside))
    found = values.gather(1, index.expand(len(values), -1, -1, -1))
    return found.masked_fill(~inside, 0)
