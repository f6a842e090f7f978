"""The adaptive dilated convolution on a GPU: implicit GEMM over samples.

No columns in memory, no atomics: results repeat bit for bit (the gradient of
the input excepted, with a rate for every position). Checked under
Triton's interpreter and compiled for sm_90; NOT yet run or timed on a GPU.
README.md of this folder says how, and what to try first on a GPU.
"""
import torch
from torch import Tensor

from mmdense.ops.adaptive_dilated_conv2d.triton.forward_kernel import forward
from mmdense.ops.adaptive_dilated_conv2d.triton.input_kernels import (
    input_and_rate,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.pixelwise_kernel import (
    input_and_rate as input_and_pixel_rate,
)
from mmdense.ops.adaptive_dilated_conv2d.triton.tiles import check_size
from mmdense.ops.adaptive_dilated_conv2d.triton.weight_kernel import (
    weight_gradient,
)
from mmdense.ops.channel_shift.triton import on_device_of

__all__ = ['backward', 'forward']


def backward(grad: Tensor, x: Tensor, weight: Tensor, rate: Tensor, stride,
             padding, dilation, groups: int, output_mask
             ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of ``x``, ``weight`` and ``rate``.

    No atomics, unless every position has its rate: then those of ``x`` are
    added up in no fixed order.

    Args:
        grad (Tensor): (N, C_out, H_out, W_out), dtype of ``x``.
        x (Tensor): Input of the forward; so are weight, rate, stride,
            padding, dilation and groups.
        weight (Tensor): See :func:`forward`.
        rate (Tensor): See :func:`forward`.
        stride (Sequence[int]): See :func:`forward`.
        padding (Sequence[int]): See :func:`forward`.
        dilation (Sequence[int]): See :func:`forward`.
        groups (int): See :func:`forward`.
        output_mask (Sequence[bool]): Which of the three gradients to
            compute.

    Returns:
        tuple[Tensor | None, Tensor | None, Tensor | None]: Contiguous; of
        ``x`` and ``weight`` in their dtype, of ``rate`` in float32.
    """
    needs_x, needs_weight, needs_rate = output_mask
    if not grad.numel() or not x.numel():
        return (torch.zeros(x.shape, dtype=x.dtype, device=x.device)
                if needs_x else None,
                torch.zeros(
                    weight.shape, dtype=weight.dtype, device=x.device)
                if needs_weight else None,
                torch.zeros(
                    rate.shape, dtype=rate.dtype, device=x.device)
                if needs_rate else None)
    check_size(x, *grad.shape[2:])
    grad, x, rate = grad.contiguous(), x.contiguous(), rate.contiguous()
    grad_x = grad_weight = grad_rate = None
    with on_device_of(x):
        if needs_x or needs_rate:
            gradients = (input_and_pixel_rate
                         if rate.dim() == 4 else input_and_rate)
            grad_x, grad_rate = gradients(
                grad, x, weight, rate, stride, padding, dilation, groups,
                needs_x, needs_rate)
        if needs_weight:
            grad_weight = weight_gradient(
                grad, x, rate, weight.shape, stride, padding, dilation, groups)
    return grad_x, grad_weight, grad_rate
