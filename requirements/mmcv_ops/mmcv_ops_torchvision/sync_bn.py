"""Synchronized batch normalization's statistics and gradients.

mmcv adds them up over processes between these calls, and calls them on CUDA
only. Inputs are (N, C, pixels); statistics and ``norm`` are float32.
"""
from torch import Tensor


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Writes every channel's mean."""
    mean.copy_(input.float().mean((0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Writes every channel's mean squared distance from ``mean``."""
    var.copy_((input.float() - mean[:, None]).square().mean((0, 2)))


def sync_bn_forward_output(input: Tensor, mean: Tensor, var: Tensor,
                           weight: Tensor, bias: Tensor, running_mean: Tensor,
                           running_var: Tensor, norm: Tensor, std: Tensor,
                           output: Tensor, eps: float, momentum: float,
                           group_size: int) -> None:
    """Writes norm, std and output; moves the running statistics."""
    std.copy_((var + eps).sqrt())
    norm.copy_((input.float() - mean[:, None]) / std[:, None])
    output.copy_(norm * weight[:, None] + bias[:, None])
    count = len(input) * input.shape[2] * group_size
    unbiased = var * count / (count - 1) if count > 1 else var
    running_mean.copy_(momentum * mean + (1 - momentum) * running_mean)
    running_var.copy_(momentum * unbiased + (1 - momentum) * running_var)


def sync_bn_backward_param(grad_output: Tensor, norm: Tensor,
                           grad_weight: Tensor, grad_bias: Tensor) -> None:
    """Writes the gradients of weight and bias."""
    grad_weight.copy_((grad_output.float() * norm).sum((0, 2)))
    grad_bias.copy_(grad_output.float().sum((0, 2)))


def sync_bn_backward_data(grad_output: Tensor, weight: Tensor,
                          grad_weight: Tensor, grad_bias: Tensor, norm: Tensor,
                          std: Tensor, grad_input: Tensor) -> None:
    """Writes the gradient of the input."""
    count = len(norm) * norm.shape[2]
    shared = grad_weight[:, None] * norm + grad_bias[:, None]
    grad_input.copy_((weight / std)[:, None] *
                     (grad_output.float() - shared / count))
