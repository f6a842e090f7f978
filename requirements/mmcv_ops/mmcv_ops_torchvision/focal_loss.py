"""Focal losses with their gradients in closed form, as mmcv's kernels.

mmcv computes them on CUDA only. Half precision is computed in float32 here,
where a probability does not round to one so soon.
"""
import torch
from torch import Tensor

TINY = torch.finfo(torch.float32).tiny


def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor,
                               output: Tensor, gamma: float,
                               alpha: float) -> None:
    """Writes the loss (n, classes) of logits input (n, classes).

    Args:
        target (Tensor): Class of every row, ``classes`` for background.
        weight (Tensor): Of the target's class, shape (classes,), or empty.
    """
    p = _wide(input).sigmoid()
    positive = -alpha * (1 - p)**gamma * _log(p)
    negative = (alpha - 1) * p**gamma * _log(1 - p)
    output.copy_(
        torch.where(_is_target(p, target), positive, negative) *
        _weight_of(weight, target))


def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor,
                                grad_input: Tensor, gamma: float,
                                alpha: float) -> None:
    """Writes the loss's derivative by every logit."""
    p = _wide(input).sigmoid()
    positive = -alpha * (1 - p)**gamma * (1 - p - gamma * p * _log(p))
    negative = (alpha - 1) * p**gamma * (gamma *
                                         (1 - p) * _log(1 - p) - p)
    grad_input.copy_(
        torch.where(_is_target(p, target), positive, negative) *
        _weight_of(weight, target))


def softmax_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor,
                               output: Tensor, gamma: float,
                               alpha: float) -> None:
    """Writes the loss (n,) of probabilities input (n, classes).

    Args:
        target (Tensor): Class of every row, below zero for no loss.
        weight (Tensor): Of the target's class, shape (classes,), or empty.
    """
    p = _probability(input, target)
    loss = -alpha * (1 - p)**gamma * _log(p)
    output.copy_(
        (loss * _weight_of(weight, target)[:, 0]).masked_fill(target < 0, 0))


def softmax_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor,
                                buff: Tensor, grad_input: Tensor, gamma: float,
                                alpha: float) -> None:
    """Writes the loss's derivative by the logits behind the probabilities."""
    p = _probability(input, target)
    slope = alpha * (gamma * (1 - p)**(gamma - 1) * p * _log(p) -
                     (1 - p)**gamma) * _weight_of(weight, target)[:, 0]
    buff.copy_(slope.masked_fill(target < 0, 0))
    grad_input.copy_(buff[:, None] *
                     (_is_target(input, target).to(input.dtype) - input))


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=TINY).log()


def _is_target(scores: Tensor, target: Tensor) -> Tensor:
    classes = torch.arange(scores.shape[1], device=scores.device)
    return target[:, None] == classes


def _probability(softmax: Tensor, target: Tensor) -> Tensor:
    return _wide(softmax).gather(1, target.clamp(min=0)[:, None])[:, 0]


def _weight_of(weight: Tensor, target: Tensor) -> Tensor:
    """Shape (n, 1), or (1, 1) without weights.

    A class without a weight, background, counts once: mmcv reads past the
    weights' end there.
    """
    if not weight.numel():
        return weight.new_ones(1, 1)
    known = (target >= 0) & (target < len(weight))
    chosen = weight[target.clamp(0, len(weight) - 1)]
    return torch.where(known, chosen, 1)[:, None]
