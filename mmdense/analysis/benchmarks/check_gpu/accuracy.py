"""How far the Triton kernels are from the reference, computed in float64."""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mmdense.analysis.benchmarks.rows import RESNET, SHIFT, Setting, Size
from mmdense.ops import adaptive_dilated_conv2d, channel_shift, use_backend
from mmdense.ops.adaptive_dilated_conv2d import reference as conv_reference
from mmdense.ops.channel_shift import reference as shift_reference


class Precision(NamedTuple):
    """How an operator computes, and how exact it has to be.

    Attributes:
        dtype (torch.dtype): Of the maps.
        tolerance (float): The largest difference there may be, as a share of
            the largest value of the same tensor.
        tf32 (bool): Whether float32 products may round their factors.
    """
    dtype: torch.dtype
    tolerance: float
    tf32: bool = False


# In half precision samples, outputs and the products behind the gradient of x
# are rounded once each: to 8 bits, or to 11 as TF32 has.
PRECISIONS = dict(
    bfloat16=Precision(torch.bfloat16, 3e-2),
    float16=Precision(torch.float16, 4e-3),
    float32=Precision(torch.float32, 2e-5),
    tf32=Precision(torch.float32, 4e-3, tf32=True))
# Samples whose float64 reference fits into a small GPU's memory.
CHUNK = 8
SHARED = ('weight', )


class Case(NamedTuple):
    """An operator on a size.

    Attributes:
        operator (str): ``'adaptive_dilated_conv2d'`` or ``'channel_shift'``.
        size (Size): Of the map.
        groups (int): Of the convolution.
    """
    operator: str
    size: Size
    groups: int = 1

    def __str__(self):
        groups = f', {self.groups} groups' if self.groups > 1 else ''
        return f'{self.operator} {self.size}{groups}'


# The sizes whose speed is measured: their kernels are compiled here.
CASES = (*(Case('adaptive_dilated_conv2d', size) for size in RESNET),
         Case('adaptive_dilated_conv2d', Size(1024, 16, 12), 32),
         Case('adaptive_dilated_conv2d', Size(96, 32, 24), 96),
         *(Case('channel_shift', size) for size in SHIFT))
SMALL = (Case('adaptive_dilated_conv2d', Size(20, 5, 6)),
         Case('adaptive_dilated_conv2d', Size(6, 4, 5), 6),
         Case('channel_shift', Size(5, 6, 7)))


def operands(case: Case, batch: int, dtype: torch.dtype,
             device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """Draw an operator's inputs and the gradient of its output.

    Positions lie off the pixels, where the reference has one derivative.

    Returns:
        tuple[dict[str, Tensor], Tensor]: Inputs by name; the gradient.
    """
    generator = torch.Generator().manual_seed(0)
    channels = case.size.channels

    def draw(*shape):
        return torch.randn(shape, generator=generator).to(device, dtype)

    inputs = dict(x=draw(batch, *case.size))
    if case.operator == 'channel_shift':
        offset = 3 * torch.randn((batch, channels, 2), generator=generator)
        inputs['offset'] = offset.to(device)
    else:
        inputs['weight'] = draw(channels, channels // case.groups, 3, 3)
        rate = 0.5 + 2 * torch.rand((batch, channels), generator=generator)
        inputs['rate'] = rate.to(device)
    return inputs, draw(batch, *case.size)


def with_gradients(function: Callable[..., Tensor], inputs: dict[str, Tensor],
                   grad: Tensor) -> dict[str, Tensor]:
    """Return ``out`` and the gradient of each input, by its name."""
    leaves = {name: value.detach().requires_grad_()
              for name, value in inputs.items()}
    out = function(**leaves)
    grads = torch.autograd.grad(out, list(leaves.values()), grad)
    return dict(out=out.detach(), **dict(zip(leaves, grads, strict=True)))


def kernel_of(case: Case) -> Callable[..., Tensor]:
    """Return the public operator."""
    if case.operator == 'channel_shift':
        return channel_shift
    return partial(adaptive_dilated_conv2d, padding=1, groups=case.groups)


def reference_of(case: Case, inputs: dict[str, Tensor],
                 grad: Tensor) -> dict[str, Tensor]:
    """Return what :func:`with_gradients` should, in float64."""

    def function(x, **others):
        if case.operator == 'channel_shift':
            return shift_reference.channel_shift(x, **others)
        return conv_reference.adaptive_dilated_conv2d(
            x, others['weight'], others['rate'], None, [1, 1], [1, 1], [1, 1],
            case.groups)

    parts = []
    for start in range(0, len(grad), CHUNK):
        rows = slice(start, start + CHUNK)
        parts.append(
            with_gradients(
                function, {
                    name: (value if name in SHARED else value[rows]).double()
                    for name, value in inputs.items()
                }, grad[rows].double()))
    return {
        name: sum(part[name] for part in parts) if name in SHARED else
        torch.cat([part[name] for part in parts]) for name in parts[0]
    }


def largest_error(got: Tensor, wanted: Tensor) -> float:
    """Return the largest difference over the largest wanted size."""
    error = (got.double() - wanted).abs().max() / wanted.abs().max()
    # A NaN would pass every comparison with a tolerance.
    return float(error.nan_to_num(nan=torch.inf))


def measure(case: Case, batch: int, precision: Precision,
            device: torch.device) -> dict:
    """Compare an operator's values and gradients with the reference.

    Returns:
        dict: ``status`` ``'ok'`` or ``'failed'``; ``errors`` by tensor;
        ``tolerance``; ``repeats``, whether a second run gave the same bits.
    """
    inputs, grad = operands(case, batch, precision.dtype, device)
    setting = Setting(device, batch, 1, tf32=precision.tf32)
    with use_backend('triton'), setting.products():
        got, again = (
            with_gradients(kernel_of(case), inputs, grad) for _ in range(2))
    wanted = reference_of(case, inputs, grad)
    errors = {
        name: largest_error(got[name], value)
        for name, value in wanted.items()
    }
    repeats = all(torch.equal(got[name], again[name]) for name in got)
    held = repeats and max(errors.values()) <= precision.tolerance
    return dict(
        status='ok' if held else 'failed',
        errors=errors,
        tolerance=precision.tolerance,
        repeats=repeats)


def items(device: torch.device, batch: int,
          rehearse: bool) -> dict[str, Callable[[], dict]]:
    """Return every comparison by name, bfloat16 first."""
    return {
        f'{case}, {name}': partial(measure, case, batch, precision, device)
        for name, precision in PRECISIONS.items()
        for case in (SMALL if rehearse else CASES)
        # Nothing is multiplied in a shift that TF32 would change.
        if not (precision.tf32 and case.operator == 'channel_shift')
    }
