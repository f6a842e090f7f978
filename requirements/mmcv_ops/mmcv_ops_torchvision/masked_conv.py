"""Convolution at some pixels only: what goes before and after the product."""
import torch
from torch import Tensor
from torch.nn import functional


def masked_im2col_forward(im: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor,
                          col: Tensor, kernel_h: int, kernel_w: int,
                          pad_h: int, pad_w: int) -> None:
    """Writes col (C * h * w, pixels): the windows of im (1, C, H, W)."""
    # A mask may reach where an unpadded window would end outside.
    padded = functional.pad(im[0], (pad_w, kernel_w, pad_h, kernel_h))
    rows = mask_h_idx[:, None, None] + torch.arange(
        kernel_h, device=im.device)[:, None]
    columns = mask_w_idx[:, None, None] + torch.arange(
        kernel_w, device=im.device)
    windows = padded[:, rows, columns]  # (C, pixels, h, w)
    col.copy_(windows.permute(0, 2, 3, 1).flatten(0, 2))


def masked_col2im_forward(col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor,
                          im: Tensor, height: int, width: int,
                          channels: int) -> None:
    """Writes col (C, pixels) into im (1, C, H, W) at its pixels."""
    im[0, :, mask_h_idx, mask_w_idx] = col
