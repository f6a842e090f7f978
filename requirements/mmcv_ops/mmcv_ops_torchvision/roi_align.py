"""RoIAlign, average by torchvision, maximum in plain PyTorch."""
import torch
from torch import Tensor
from torchvision.extension import _assert_has_ops


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor,
                      argmax_y: Tensor, argmax_x: Tensor, aligned_height: int,
                      aligned_width: int, spatial_scale: float,
                      sampling_ratio: int, pool_mode: int,
                      aligned: bool) -> None:
    """Writes output (k, C, h, w) for rois (k, 5) of (image, x1, y1, x2, y2).

    Args:
        pool_mode (int): 0 takes the maximum of a bin's samples and writes
            where it was read into ``argmax_y`` and ``argmax_x``, 1 takes the
            average.
    """
    _assert_has_ops()
    output.copy_(
        torch.ops.torchvision.roi_align(input, rois, spatial_scale,
                                        aligned_height, aligned_width,
                                        sampling_ratio, aligned))


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor,
                       argmax_x: Tensor, grad_input: Tensor,
                       aligned_height: int, aligned_width: int,
                       spatial_scale: float, sampling_ratio: int,
                       pool_mode: int, aligned: bool) -> None:
    """Adds the gradient into grad_input (N, C, H, W)."""
    _assert_has_ops()
    grad_input += torch.ops.torchvision._roi_align_backward(
        grad_output, rois, spatial_scale, aligned_height, aligned_width,
        *grad_input.shape, sampling_ratio, aligned)
