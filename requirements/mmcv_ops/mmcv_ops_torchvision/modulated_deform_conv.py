"""Modulated deformable convolution (v2) by torchvision's operator."""
import torch
import torchvision  # noqa: F401, registers its operators
from torch import Tensor

from .deform_conv import without_edge


def modulated_deform_conv_forward(input: Tensor, weight: Tensor, bias: Tensor,
                                  ones: Tensor, offset: Tensor, mask: Tensor,
                                  output: Tensor, columns: Tensor,
                                  kernel_h: int, kernel_w: int, stride_h: int,
                                  stride_w: int, pad_h: int, pad_w: int,
                                  dilation_h: int, dilation_w: int, group: int,
                                  deformable_group: int,
                                  with_bias: bool) -> None:
    """Writes output. Without ``with_bias``, ``bias`` is empty."""
    if not with_bias:
        bias = input.new_zeros(len(weight))
    output.copy_(
        torch.ops.torchvision.deform_conv2d(
            input, weight, offset, mask, bias, stride_h, stride_w, pad_h,
            pad_w, dilation_h, dilation_w, group, deformable_group, True))


def modulated_deform_conv_backward(
        input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor,
        offset: Tensor, mask: Tensor, columns: Tensor, grad_input: Tensor,
        grad_weight: Tensor, grad_bias: Tensor, grad_offset: Tensor,
        grad_mask: Tensor, grad_output: Tensor, kernel_h: int, kernel_w: int,
        stride_h: int, stride_w: int, pad_h: int, pad_w: int, dilation_h: int,
        dilation_w: int, group: int, deformable_group: int,
        with_bias: bool) -> None:
    """Adds to the gradients of input, weight, bias; writes offset, mask."""
    if not with_bias:
        bias = input.new_zeros(len(weight))
    found = torch.ops.torchvision._deform_conv2d_backward(
        grad_output, input, weight, offset, mask, bias, stride_h, stride_w,
        pad_h, pad_w, dilation_h, dilation_w, group, deformable_group, True)
    grad_input += found[0]
    grad_weight += found[1]
    grad_offset.copy_(
        without_edge(found[2], offset, weight, stride_h, stride_w, pad_h,
                     pad_w, dilation_h, dilation_w))
    grad_mask.copy_(found[3])
    if with_bias:
        grad_bias += found[4]
