"""RoIAlign: the average by torchvision, the maximum in plain PyTorch."""
import torch
import torchvision  # noqa: F401, registers its operators
from torch import Tensor

from .bins import largest_samples, pixels


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor,
                      argmax_y: Tensor, argmax_x: Tensor, aligned_height: int,
                      aligned_width: int, spatial_scale: float,
                      sampling_ratio: int, pool_mode: int,
                      aligned: bool) -> None:
    """Writes output (k, C, h, w) for rois (k, 5) of (image, x1, y1, x2, y2).

    An empty region gives zeros. (mmcv's maximum gives -10000 there on a CPU
    and the smallest float on CUDA.)

    Args:
        pool_mode (int): 0 takes the largest sample of every bin and writes
            where it was read into ``argmax_y`` and ``argmax_x``, -1 in an
            empty bin; 1 takes the average.
    """
    if pool_mode:
        output.copy_(
            torch.ops.torchvision.roi_align(input, rois, spatial_scale,
                                            aligned_height, aligned_width,
                                            sampling_ratio, aligned))
        return
    height, width = input.shape[-2:]
    corner = rois[:, 1:3] * spatial_scale - 0.5 * aligned
    size = rois[:, 3:] * spatial_scale - 0.5 * aligned - corner
    if not aligned:
        size = size.clamp(min=1)
    bins = size / size.new_tensor([aligned_width, aligned_height])
    samples = bins.ceil().long()
    if sampling_ratio > 0:
        samples = torch.full_like(samples, sampling_ratio)

    def place(axis: int, step, k=slice(None)) -> Tensor:
        """Sample number ``step`` along an axis, in shape (k, h, w, C)."""
        start, bin, count = (v[k, axis, None, None, None]
                             for v in (corner, bins, samples))
        cell = torch.arange(
            (aligned_width, aligned_height)[axis],
            device=rois.device).to(rois.dtype)
        cell = cell[:, None, None] if axis else cell[:, None]
        return start + cell * bin + (step + 0.5) * bin / count

    image = rois[:, 0].long()[:, None, None] * (height * width)
    flat = pixels(input)

    def read(k: Tensor, i: int, j: int) -> Tensor:
        places, weights = _corners(
            place(1, i, k), place(0, j, k), height, width)
        return sum(weight * flat[pixel[..., 0] + image[k]]
                   for pixel, weight in zip(places, weights, strict=True))

    best, i, j = largest_samples(
        samples[:, 1:].expand(-1, aligned_height),
        samples[:, :1].expand(-1, aligned_width), input.shape[1], read, input)
    output.copy_(best.permute(0, 3, 1, 2))
    for argmax, axis, step in ((argmax_y, 1, i), (argmax_x, 0, j)):
        found = place(axis, step).masked_fill(step < 0, -1)
        argmax.copy_(found.permute(0, 3, 1, 2))


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor,
                       argmax_x: Tensor, grad_input: Tensor,
                       aligned_height: int, aligned_width: int,
                       spatial_scale: float, sampling_ratio: int,
                       pool_mode: int, aligned: bool) -> None:
    """Adds the gradient to grad_input (N, C, H, W)."""
    if pool_mode:
        grad_input += torch.ops.torchvision._roi_align_backward(
            grad_output, rois, spatial_scale, aligned_height, aligned_width,
            *grad_input.shape, sampling_ratio, aligned)
        return
    channels, height, width = grad_input.shape[1:]
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(
        channels, device=rois.device)
    plane = plane[..., None, None] * (height * width)
    places, weights = _corners(argmax_y, argmax_x, height, width)
    # mmcv's mark of an empty bin.
    read = argmax_y != -1
    for place, weight in zip(places, weights, strict=True):
        grad_input.view(-1).index_add_(0, (place + plane).flatten(),
                                       (grad_output * weight * read).flatten())


def _corners(y: Tensor, x: Tensor, height: int, width: int):
    """The four pixels around (y, x), as indices of the map, and their weights.

    Up to one pixel outside, the nearest pixel counts; beyond, nothing.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    lows, highs, fractions = [], [], []
    for position, size in ((y, height), (x, width)):
        position = position.clamp(0, size - 1)
        low = position.long()
        lows.append(low)
        highs.append((low + 1).clamp(max=size - 1))
        fractions.append(position - low)
    (y0, x0), (y1, x1), (fy, fx) = lows, highs, fractions
    places = [row * width + column for row in (y0, y1) for column in (x0, x1)]
    weights = [
        row * column * inside for row in (1 - fy, fy)
        for column in (1 - fx, fx)
    ]
    return places, weights
