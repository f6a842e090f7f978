"""CARAFE: upsampling by a kernel of its own for every output pixel.

Jiaqi Wang et al., arXiv:1905.02188. mmcv has it on CUDA only, as a naive and
a faster kernel of the same values; both names are this one here.
"""
from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional


def carafe_naive_forward(features: Tensor, masks: Tensor, output: Tensor,
                         kernel_size: int, group_size: int,
                         scale_factor: int) -> None:
    """Writes output (N, C, H * s, W * s).

    ``output[n, c, y, x]`` sums, over the kernel's rows i and columns j,
    ``features[n, c, y // s + i - r, x // s + j - r]`` times the mask of
    (i, j) and of c's group at (y, x); r is half the kernel.

    Args:
        features (Tensor): Shape (N, C, H, W).
        masks (Tensor): Shape (N, groups * k * k, H * s, W * s).
    """
    blocks = _blocks(output, group_size, scale_factor)
    blocks.zero_()
    masks = _kernels(masks, kernel_size, group_size, scale_factor)
    padded = _padded(features, kernel_size, group_size)
    for k, window in _windows(padded, kernel_size):
        blocks += padded[window][:, :, :, :, None, :, None] * masks[:, :, k]


def carafe_naive_backward(top_grad: Tensor, features: Tensor, masks: Tensor,
                          bottom_grad: Tensor, mask_grad: Tensor,
                          kernel_size: int, group_size: int,
                          scale_factor: int) -> None:
    """Adds to the gradients of features and masks."""
    grad = _blocks(top_grad, group_size, scale_factor)
    masks = _kernels(masks, kernel_size, group_size, scale_factor)
    grad_masks = _kernels(mask_grad, kernel_size, group_size, scale_factor)
    padded = _padded(features, kernel_size, group_size)
    grad_padded = padded.new_zeros(padded.shape)
    for k, window in _windows(padded, kernel_size):
        read = padded[window][:, :, :, :, None, :, None]
        grad_masks[:, :, k] += (grad * read).sum(2, keepdim=True)
        grad_padded[window] += (grad * masks[:, :, k]).sum((4, 6))
    r = kernel_size // 2
    height, width = features.shape[-2:]
    bottom_grad += grad_padded[..., r:r + height, r:r + width].flatten(1, 2)


def carafe_forward(features: Tensor, masks: Tensor, rfeatures: Tensor,
                   routput: Tensor, rmasks: Tensor, output: Tensor,
                   kernel_size: int, group_size: int,
                   scale_factor: int) -> None:
    """Writes output, and keeps the features where mmcv looks for them."""
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size,
                         scale_factor)


def carafe_backward(top_grad: Tensor, rfeatures: Tensor, masks: Tensor,
                    rtop_grad: Tensor, rbottom_grad_hs: Tensor,
                    rbottom_grad: Tensor, rmask_grad: Tensor,
                    bottom_grad: Tensor, mask_grad: Tensor, kernel_size: int,
                    group_size: int, scale_factor: int) -> None:
    """Adds to the gradients; rfeatures are those the forward kept."""
    carafe_naive_backward(top_grad, rfeatures, masks, bottom_grad, mask_grad,
                          kernel_size, group_size, scale_factor)


def _blocks(x: Tensor, groups: int, scale: int) -> Tensor:
    """Upsampled (N, C, H * s, W * s) as (N, groups, C', H, s, W, s)."""
    n, channels, height, width = x.shape
    return x.view(n, groups, channels // groups, height // scale, scale,
                  width // scale, scale)


def _kernels(masks: Tensor, kernel: int, groups: int, scale: int) -> Tensor:
    """Masks as (N, groups, k * k, 1, H, s, W, s)."""
    n, _, height, width = masks.shape
    return masks.view(n, groups, kernel * kernel, 1, height // scale, scale,
                      width // scale, scale)


def _padded(features: Tensor, kernel: int, groups: int) -> Tensor:
    """Features (N, groups, C', H + 2r, W + 2r)."""
    return functional.pad(features, [kernel // 2] * 4).unflatten(
        1, (groups, -1))


def _windows(padded: Tensor, kernel: int) -> Iterator[tuple[int, tuple]]:
    """Every kernel position, and the part of ``padded`` it reads."""
    height, width = (size - kernel + 1 for size in padded.shape[-2:])
    for k in range(kernel * kernel):
        i, j = divmod(k, kernel)
        yield k, (..., slice(i, i + height), slice(j, j + width))
