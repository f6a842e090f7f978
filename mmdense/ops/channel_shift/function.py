"""Per-channel bilinear shift: checks, registration, backward."""
import importlib

import torch
from torch import Tensor

from mmdense.ops import backend
from mmdense.ops.channel_shift import exported, reference

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def channel_shift(x: Tensor, offset: Tensor) -> Tensor:
    """Resample every channel at its own sub-pixel offset.

    ``out[n, c, i, j]`` is ``x[n, c]`` read bilinearly at row ``i + dy`` and
    column ``j + dx``; pixels outside the map count as zero, so positions up
    to one pixel outside fade into it. A positive ``dy`` therefore moves the
    picture up.

    The derivative with respect to an offset is the right one where bilinear
    interpolation has a kink, at whole pixels. A NaN or infinite offset makes
    its whole output channel NaN and touches no other; an offset beyond the
    map gives zeros.

    ``x`` keeps its dtype under autocast and the offsets stay float32; the
    interpolation is computed in float32 (float64 for a float64 ``x``) and
    rounded once. The result is channels last if ``x`` is, else contiguous.

    Source: the shifting operation of the Spatial Shortcut Network, Section
    3.1, Equation 1. The paper moves the map by ``(dx, dy)``, which is reading
    at minus this; a learned offset absorbs the sign, and we take the sampling
    convention and the order row, column.

    Args:
        x (Tensor): Feature map, shape (N, C, H, W), floating point.
        offset (Tensor): (dy, dx) in pixels of ``x``, shape (C, 2) for all
            samples alike or (N, C, 2), float32 or the dtype of ``x``.

    Returns:
        Tensor: Resampled map, shape (N, C, H, W), dtype of ``x``.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If shapes, dtypes or devices do not fit.
    """
    _check(x, offset)
    # float16 has whole pixels only beyond 1024, and the map may be wider.
    offset = offset.to(
        torch.float64 if x.dtype == torch.float64 else torch.float32)
    offset = offset.expand(x.shape[0], x.shape[1], 2)
    wanted = backend.asked()
    if backend.select(x, wanted) == 'reference':
        form = exported if backend.exporting() else reference
        return form.channel_shift(x, offset)
    return _forward(x, offset, wanted)


def _check(x: Tensor, offset: Tensor) -> None:
    for name, value in (('x', x), ('offset', offset)):
        if not isinstance(value, Tensor):
            raise TypeError(
                f'channel_shift: {name} must be a tensor, got '
                f'{type(value).__name__}')
    if x.dim() != 4:
        raise ValueError('channel_shift: x must have shape (N, C, H, W), got '
                         f'{tuple(x.shape)}')
    batch, channels = x.shape[:2]
    if tuple(offset.shape) not in ((channels, 2), (batch, channels, 2)):
        raise ValueError(
            'channel_shift: offset must have shape '
            f'(C, 2) = ({channels}, 2) or '
            f'(N, C, 2) = ({batch}, {channels}, 2), got '
            f'{tuple(offset.shape)}')
    if x.dtype not in DTYPES:
        raise ValueError(
            f'channel_shift: x must have a floating dtype, got {x.dtype}')
    if offset.dtype not in (torch.float32, x.dtype):
        raise ValueError(
            'channel_shift: offset must have torch.float32 or the dtype of x '
            f'({x.dtype}), got {offset.dtype}')
    if offset.device != x.device:
        raise ValueError('channel_shift: offset must be on the device of x '
                         f'({x.device}), got {offset.device}')


def _triton():
    return importlib.import_module('mmdense.ops.channel_shift.triton')


# The argument `wanted` is 'auto' unless the user forced a backend, so that an
# exported graph takes the kernel of the device it runs on.
@torch.library.custom_op('mmdense::channel_shift', mutates_args=())
def _forward(x: Tensor, offset: Tensor, wanted: str) -> Tensor:
    name = backend.select(x, wanted)
    if name == 'cpu':
        out = torch.ops.mmdense.channel_shift_cpu(x.to(offset.dtype), offset)
    elif name == 'triton':
        out = _triton().forward(x, offset)
    else:
        out = reference.channel_shift(x, offset)
    return backend.lay_out(out, x)


@_forward.register_fake
def _(x, offset, wanted):
    return backend.same_format(x, x.shape)


@torch.library.custom_op('mmdense::channel_shift_backward', mutates_args=())
def _backward(grad: Tensor, x: Tensor, offset: Tensor, needs_x: bool,
              needs_offset: bool, wanted: str) -> tuple[Tensor, Tensor]:
    name = backend.select(x, wanted)
    if name == 'cpu':
        dtype = offset.dtype
        grad_x, grad_offset = torch.ops.mmdense.channel_shift_backward_cpu(
            grad.to(dtype), x.to(dtype), offset, needs_x, needs_offset)
    elif name == 'triton':
        grad_x, grad_offset = _triton().backward(grad, x, offset, needs_x,
                                                 needs_offset)
    else:
        raise RuntimeError(
            'a graph with channel_shift was traced where a kernel was '
            f'available, and is differentiated on {x.device} where none is; '
            'trace it here, inside use_backend("reference")')
    return (backend.lay_out(grad_x, x) if needs_x else x.new_empty(0),
            grad_offset if needs_offset else offset.new_empty(0))


@_backward.register_fake
def _(grad, x, offset, needs_x, needs_offset, wanted):
    return (backend.same_format(x, x.shape) if needs_x else x.new_empty(0),
            offset.new_empty(offset.shape if needs_offset else 0))


def _setup_context(ctx, inputs, output):
    x, offset, ctx.wanted = inputs
    ctx.save_for_backward(x, offset)


def _differentiate(ctx, grad):
    x, offset = ctx.saved_tensors
    needs_x, needs_offset = ctx.needs_input_grad[:2]
    grad_x, grad_offset = _backward(grad, x, offset, needs_x, needs_offset,
                                    ctx.wanted)
    return (grad_x if needs_x else None,
            grad_offset if needs_offset else None, None)


_forward.register_autograd(_differentiate, setup_context=_setup_context)
