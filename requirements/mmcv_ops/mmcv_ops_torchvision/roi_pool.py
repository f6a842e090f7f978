"""RoIPool in plain PyTorch, since torchvision's rounds the regions."""
import torch
from torch import Tensor

from .bins import largest_samples, pixels


def roi_pool_forward(input: Tensor, rois: Tensor, output: Tensor,
                     argmax: Tensor, pooled_height: int, pooled_width: int,
                     spatial_scale: float) -> None:
    """Writes output (k, C, h, w), the largest pixel of every bin.

    As mmcv's (CUDA only) kernel: a region ends one pixel of the image after
    its (x2, y2), is not rounded, and its bins overlap where they share a
    pixel.

    Args:
        rois (Tensor): (image, x1, y1, x2, y2), shape (k, 5).
        argmax (Tensor): Index of the pixel in its map, -1 in an empty bin.
    """
    height, width = input.shape[-2:]
    starts, counts = [], []
    for axis, cells, size in ((1, pooled_height, height),
                              (0, pooled_width, width)):
        start = rois[:, 1 + axis, None] * spatial_scale
        extent = (rois[:, 3 + axis, None] + 1) * spatial_scale - start
        cell = torch.arange(cells, device=rois.device).to(rois.dtype)
        first = (cell * (extent / cells) + start).floor().long()
        end = ((cell + 1) * (extent / cells) + start).ceil().long()
        first, end = first.clamp(0, size), end.clamp(0, size)
        starts.append(first)
        counts.append((end - first) * (extent > 0))
    (top, left), (rows, columns) = starts, counts
    image = rois[:, 0].long()[:, None, None] * (height * width)
    flat = pixels(input)

    def read(k: Tensor, i: int, j: int) -> Tensor:
        # Clamped: a bin without this sample is not asked for it.
        y = (top[k] + i).clamp(max=height - 1)[:, :, None]
        x = (left[k] + j).clamp(max=width - 1)[:, None]
        return flat[image[k] + y * width + x]

    best, i, j = largest_samples(rows, columns, input.shape[1], read, input)
    output.copy_(best.permute(0, 3, 1, 2))
    place = (top[:, :, None, None] + i) * width + left[:, None, :, None] + j
    argmax.copy_(place.masked_fill(i < 0, -1).permute(0, 3, 1, 2))


def roi_pool_backward(grad_output: Tensor, rois: Tensor, argmax: Tensor,
                      grad_input: Tensor, pooled_height: int,
                      pooled_width: int, spatial_scale: float) -> None:
    """Adds the gradient to grad_input (N, C, H, W)."""
    channels, height, width = grad_input.shape[1:]
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(
        channels, device=rois.device)
    place = plane[..., None, None] * (height * width) + argmax.clamp(min=0)
    grad_input.view(-1).index_add_(0, place.flatten(),
                                   (grad_output * (argmax >= 0)).flatten())
