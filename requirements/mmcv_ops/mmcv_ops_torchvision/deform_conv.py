"""Deformable convolution (v1) by torchvision's operator."""
import torch
import torchvision  # noqa: F401, registers its operators
from torch import Tensor


def deform_conv_forward(input: Tensor, weight: Tensor, offset: Tensor,
                        output: Tensor, columns: Tensor, ones: Tensor, kW: int,
                        kH: int, dW: int, dH: int, padW: int, padH: int,
                        dilationW: int, dilationH: int, group: int,
                        deformable_group: int, im2col_step: int) -> None:
    """Writes output. torchvision chooses its own ``im2col_step``."""
    nothing = input.new_zeros(len(input), 1)
    bias = input.new_zeros(len(weight))
    output.copy_(
        torch.ops.torchvision.deform_conv2d(
            input, weight, offset, nothing, bias, dH, dW, padH, padW,
            dilationH, dilationW, group, deformable_group, False))


def deform_conv_backward_input(input: Tensor, offset: Tensor,
                               gradOutput: Tensor, gradInput: Tensor,
                               gradOffset: Tensor, weight: Tensor,
                               columns: Tensor, kW: int, kH: int, dW: int,
                               dH: int, padW: int, padH: int, dilationW: int,
                               dilationH: int, group: int,
                               deformable_group: int,
                               im2col_step: int) -> None:
    """Adds to gradInput and writes gradOffset."""
    grad_input, grad_weight, grad_offset = _backward(
        gradOutput, input, weight, offset, dH, dW, padH, padW, dilationH,
        dilationW, group, deformable_group)
    gradInput += grad_input
    gradOffset.copy_(grad_offset)
    # torchvision computes all gradients at once, mmcv asks for the weight's
    # next, with the same scratch tensor: it takes the gradient along.
    columns.grad_weight = gradOutput, grad_weight


def deform_conv_backward_parameters(input: Tensor, offset: Tensor,
                                    gradOutput: Tensor, gradWeight: Tensor,
                                    columns: Tensor, ones: Tensor, kW: int,
                                    kH: int, dW: int, dH: int, padW: int,
                                    padH: int, dilationW: int, dilationH: int,
                                    group: int, deformable_group: int,
                                    scale: float, im2col_step: int) -> None:
    """Adds ``scale`` times the gradient to gradWeight."""
    known_for, grad_weight = vars(columns).pop('grad_weight', (None, None))
    if known_for is not gradOutput:
        _, grad_weight, _ = _backward(gradOutput, input, gradWeight, offset,
                                      dH, dW, padH, padW, dilationH, dilationW,
                                      group, deformable_group)
    gradWeight.add_(grad_weight, alpha=scale)


def _backward(grad: Tensor, input: Tensor, weight: Tensor, offset: Tensor,
              *numbers: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of input, weight and offset."""
    nothing = input.new_zeros(len(input), 1)
    bias = input.new_zeros(len(weight))
    found = torch.ops.torchvision._deform_conv2d_backward(
        grad, input, weight, offset, nothing, bias, *numbers, False)
    return *found[:2], without_edge(found[2], offset, weight, *numbers[:6])


def without_edge(grad_offset: Tensor, offset: Tensor, weight: Tensor,
                 *numbers: int) -> Tensor:
    """grad_offset, zero where a sample lies exactly at -1.

    One pixel outside, the sample is zero and has a slope inwards. mmcv takes
    none, torchvision takes it. Offsets that start at zero meet this in the
    padding.

    Args:
        numbers (int): Stride, padding and dilation, rows before columns.
    """
    kernel = weight.shape[2:]
    split = (-1, *kernel, 2)  # (group, kernel row, kernel column, (y, x))
    found = grad_offset.unflatten(1, split).clone()
    for axis in (0, 1):
        stride, padding, dilation = numbers[axis::2]
        tap, cell = (
            torch.arange(size, device=offset.device)
            for size in (kernel[axis], offset.shape[2 + axis]))
        start = tap[:, None] * dilation + cell * stride - padding
        start = start[:, None, :, None] if axis == 0 else start[:, None]
        position = start + offset.unflatten(1, split)[:, :, :, :, axis]
        found[:, :, :, :, axis].masked_fill_(position == -1, 0)
    return found.view_as(grad_offset)
