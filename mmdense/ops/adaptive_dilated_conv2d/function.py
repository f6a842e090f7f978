"""Adaptive dilated convolution: checks, registration, backward."""
import importlib
from typing import Sequence  # noqa: UP035 - what torch 2.4 reads

import torch
from torch import Tensor

from mmdense.ops import backend
from mmdense.ops.adaptive_dilated_conv2d import exported, reference
from mmdense.ops.adaptive_dilated_conv2d.places import output_size

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def adaptive_dilated_conv2d(x: Tensor,
                            weight: Tensor,
                            rate: Tensor,
                            bias: Tensor | None = None,
                            stride: int | tuple[int, int] = 1,
                            padding: int | tuple[int, int] | str = 0,
                            dilation: int | tuple[int, int] = 1,
                            groups: int = 1) -> Tensor:
    """Convolve with a fractional dilation rate per sample and channel group.

    Output position ``p`` reads tap ``i`` of an axis of input channel ``c`` at
    ``p * stride - padding + dilation * (m + (i - m) * r)``, where ``m`` is
    the middle tap ``(k - 1) / 2`` and ``r`` is ``rate[n, floor(c * g / C)]``
    or, of a rate for every output position, ``rate[n, floor(c * g / C), p]``;
    bilinear, pixels outside the map count as zero. Rate 1 is
    ``torch.nn.functional.conv2d``, whose argument order and meaning this has,
    with the rate in third place.

    The derivative with respect to a rate is the right one (in the sampling
    position) where bilinear interpolation has a kink, at whole pixels. A NaN
    or infinite rate makes every output of its sample that reads the group
    NaN (of the position alone, if it is a position's) and touches no other
    sample; a tap beyond the map reads zero.

    Under autocast ``x``, ``weight`` and ``bias`` are cast as ``conv2d`` casts
    them and the rates stay float32. Positions are computed in float32
    (float64 for a float64 ``x``) always; on a CPU a float16 or bfloat16 call
    computes in float32 throughout and rounds the result. The result is
    channels last if ``x`` is, else contiguous. Results repeat bit for bit,
    except on a GPU the gradient of ``x`` with a rate for every position.

    Source: Adaptive Dilated Convolution, Section III, Equations 1 to 7.
    Departures: channel ``c`` has rate ``floor(c * g / C)`` where the paper
    prints ``floor(c / g)``, which would give ``g = C`` a single rate; taps
    run from ``-(k-1)/2`` where Equations 1 and 4 print ``floor(-k/2)``; rates
    are per sample and multiply the nominal dilation, so that a pretrained
    dilated network is unchanged at rate 1. A rate for every position is that
    of Zhang et al., Scale-Adaptive Convolutions for Scene Parsing (ICCV
    2017), with which the paper compares.

    Args:
        x (Tensor): Feature map, shape (N, C, H, W), floating point.
        weight (Tensor): Kernel, shape (C_out, C / groups, k_h, k_w), both
            sizes odd, dtype of ``x``.
        rate (Tensor): Dilation rates, shape (N, g) or (N, g, H_out, W_out)
            with ``g`` dividing ``C``, in units of ``dilation``; any real
            number. float32 or the dtype of ``x``.
        bias (Tensor, optional): Shape (C_out,), dtype of ``x``.
        stride (int | tuple[int, int]): Rows, columns.
        padding (int | tuple[int, int] | str): Zeros on both sides of rows,
            columns; ``'valid'`` for none, ``'same'`` for what keeps the size
            (stride 1 only).
        dilation (int | tuple[int, int]): Nominal dilation, rows, columns.
        groups (int): Convolution groups, dividing ``C`` and ``C_out``.

    Returns:
        Tensor: Shape (N, C_out, H_out, W_out) as of ``conv2d``, dtype of
        ``x`` (after autocast).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If shapes, dtypes, devices or sizes do not fit.
    """
    for name, value in (('x', x), ('weight', weight), ('rate', rate),
                        ('bias', bias)):
        if not isinstance(value, Tensor) and (name, value) != ('bias', None):
            _refuse(TypeError, f'{name} must be a tensor',
                    type(value).__name__)
    device = x.device.type
    autocast = torch.is_autocast_enabled(device)
    if autocast:
        dtype = torch.get_autocast_dtype(device)
        x, weight, bias = (_cast(value, dtype) for value in (x, weight, bias))
    stride = _pair('stride', stride, 1)
    dilation = _pair('dilation', dilation, 1)
    _check(x, weight, rate, bias, groups)
    padding = _padding(padding, weight, stride, dilation)
    _check_size(x, weight, padding, dilation)
    if rate.dim() == 4:
        size = output_size(x.shape[2:], weight.shape[2:], stride, padding,
                           dilation)
        if list(rate.shape[2:]) != size:
            _refuse(
                ValueError, 'rate must have shape (N, g, H_out, W_out) with '
                f'H_out, W_out = {size[0]}, {size[1]}', tuple(rate.shape))
    rate = rate.to(torch.float64 if x.dtype ==
                   torch.float64 else torch.float32)
    wanted = backend.asked()
    if backend.select(x, wanted) != 'reference':
        arguments = (x, weight, rate, bias, stride, padding, dilation, groups,
                     wanted)
        if not backend.eager(x, weight, rate, bias):
            return _forward(*arguments)
        return _Eager.apply(*arguments)
    # A rate for every position is no shift of the map.
    shifts = rate.dim() == 2
    form = exported if shifts and backend.exporting() else reference
    if not autocast:
        return form.adaptive_dilated_conv2d(x, weight, rate, bias, stride,
                                            padding, dilation, groups)
    # Or the convolutions inside would round the sampled values.
    with torch.autocast(device, enabled=False):
        return form.adaptive_dilated_conv2d(x, weight, rate, bias, stride,
                                            padding, dilation, groups)


def _refuse(error: type[Exception], wanted: str, got) -> None:
    raise error(f'adaptive_dilated_conv2d: {wanted}, got {got}')


def _cast(value: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    # As autocast does: float64 is left alone.
    if value is None or value.dtype not in DTYPES[:3]:
        return value
    return value.to(dtype)


def _pair(name: str, value, least: int) -> list[int]:
    pair = list(value) if isinstance(value, (tuple, list)) else [value] * 2
    if len(pair) != 2 or not all(
            isinstance(v, int) and v >= least for v in pair):
        _refuse(
            ValueError,
            f'{name} must be one or two integers of at least {least}', value)
    return pair


def _padding(padding, weight: Tensor, stride: list[int],
             dilation: list[int]) -> list[int]:
    if not isinstance(padding, str):
        return _pair('padding', padding, 0)
    if padding == 'valid':
        return [0, 0]
    if padding != 'same':
        _refuse(ValueError, "padding must be integers, 'valid' or 'same'",
                repr(padding))
    if stride != [1, 1]:
        _refuse(ValueError, "stride must be 1 for padding 'same'", stride)
    return [d * (k - 1) // 2 for d, k in zip(
        dilation, weight.shape[2:], strict=True)]


def _check(x: Tensor, weight: Tensor, rate: Tensor, bias: Tensor | None,
           groups: int) -> None:
    if x.dim() != 4:
        _refuse(ValueError, 'x must have shape (N, C, H, W)', tuple(x.shape))
    if weight.dim() != 4:
        _refuse(ValueError,
                'weight must have shape (C_out, C / groups, k_h, k_w)',
                tuple(weight.shape))
    batch, channels = x.shape[:2]
    out_channels = weight.shape[0]
    if not isinstance(groups, int) or groups < 1 or channels % groups or \
            out_channels % groups:
        _refuse(ValueError, f'groups must divide C = {channels} and '
                f'C_out = {out_channels}', groups)
    if weight.shape[1] != channels // groups:
        _refuse(
            ValueError,
            'weight must have shape (C_out, C / groups, k_h, k_w) with '
            f'C / groups = {channels // groups}', tuple(weight.shape))
    if not (weight.shape[2] % 2 and weight.shape[3] % 2):
        _refuse(ValueError, 'the kernel of weight must have odd sizes',
                tuple(weight.shape[2:]))
    if rate.dim() not in (2, 4) or rate.shape[0] != batch or \
            rate.shape[1] < 1 or channels % rate.shape[1]:
        _refuse(
            ValueError, 'rate must have shape (N, g) or (N, g, H_out, W_out) '
            f'with N = {batch} and g dividing C = {channels}',
            tuple(rate.shape))
    if bias is not None and tuple(bias.shape) != (out_channels, ):
        _refuse(
            ValueError, f'bias must have shape (C_out,) = ({out_channels},)',
            tuple(bias.shape))
    if x.dtype not in DTYPES:
        _refuse(ValueError, 'x must have a floating dtype', x.dtype)
    for name, value in (('weight', weight), ('bias', bias)):
        if value is not None and value.dtype != x.dtype:
            _refuse(ValueError, f'{name} must have the dtype of x ({x.dtype})',
                    value.dtype)
    if rate.dtype not in (torch.float32, x.dtype):
        _refuse(ValueError,
                f'rate must have torch.float32 or the dtype of x ({x.dtype})',
                rate.dtype)
    for name, value in (('weight', weight), ('rate', rate), ('bias', bias)):
        if value is not None and value.device != x.device:
            _refuse(
                ValueError,
                f'{name} must be on the device of x ({x.device})',
                value.device)


def _check_size(x: Tensor, weight: Tensor, padding: list[int],
                dilation: list[int]) -> None:
    for a in (0, 1):
        reach = dilation[a] * (weight.shape[2 + a] - 1) + 1
        if x.shape[2 + a] + 2 * padding[a] < reach or x.shape[2 + a] < 1:
            _refuse(
                ValueError,
                f'x and padding must cover the kernel, {reach} pixels along '
                f'axis {2 + a}', f'{x.shape[2 + a]} and {padding[a]}')


def _triton():
    return importlib.import_module(
        'mmdense.ops.adaptive_dilated_conv2d.triton')


def _out_shape(x, weight, stride, padding, dilation):
    size = output_size(x.shape[2:], weight.shape[2:], stride, padding,
                       dilation)
    return (x.shape[0], weight.shape[0], *size)


# The argument `wanted` is 'auto' unless the user forced a backend, so that an
# exported graph takes the kernel of the device it runs on.
@torch.library.custom_op('mmdense::adaptive_dilated_conv2d', mutates_args=())
def _forward(x: Tensor, weight: Tensor, rate: Tensor, bias: Tensor | None,
             stride: Sequence[int], padding: Sequence[int],
             dilation: Sequence[int], groups: int, wanted: str) -> Tensor:
    return _compute(x, weight, rate, bias, stride, padding, dilation, groups,
                    wanted)


def _compute(x, weight, rate, bias, stride, padding, dilation, groups, wanted):
    name = backend.select(x, wanted)
    if name == 'cpu':
        out = torch.ops.mmdense.adaptive_dilated_conv2d_cpu.default(
            x, weight, rate, bias, stride, padding, dilation, groups)
    elif name == 'triton':
        out = _triton().forward(x, weight, rate, bias, stride, padding,
                                dilation, groups)
    else:
        out = reference.adaptive_dilated_conv2d(x, weight, rate, bias, stride,
                                                padding, dilation, groups)
    return backend.lay_out(out, x)


@_forward.register_fake
def _(x, weight, rate, bias, stride, padding, dilation, groups, wanted):
    return backend.same_format(
        x, _out_shape(x, weight, stride, padding, dilation))


@torch.library.custom_op(
    'mmdense::adaptive_dilated_conv2d_backward', mutates_args=())
def _backward(grad: Tensor, x: Tensor, weight: Tensor, rate: Tensor,
              stride: Sequence[int], padding: Sequence[int],
              dilation: Sequence[int], groups: int, needs: Sequence[bool],
              wanted: str) -> tuple[Tensor, Tensor, Tensor]:
    return _compute_backward(grad, x, weight, rate, stride, padding, dilation,
                             groups, needs, wanted)


def _compute_backward(grad, x, weight, rate, stride, padding, dilation, groups,
                      needs, wanted):
    name = backend.select(x, wanted)
    if name == 'cpu':
        grads = torch.ops.mmdense.adaptive_dilated_conv2d_backward_cpu.default(
            grad, x, weight, rate, stride, padding, dilation, groups, needs)
    elif name == 'triton':
        grads = _triton().backward(grad, x, weight, rate, stride, padding,
                                   dilation, groups, needs)
    else:
        raise RuntimeError(
            'a graph with adaptive_dilated_conv2d was traced where a kernel '
            f'was available, and is differentiated on {x.device} where none '
            'is; trace it here, inside use_backend("reference")')
    return (backend.lay_out(grads[0], x) if needs[0] else x.new_empty(0),
            backend.lay_out(grads[1], weight)
            if needs[1] else weight.new_empty(0),
            grads[2] if needs[2] else rate.new_empty(0))


@_backward.register_fake
def _(grad, x, weight, rate, stride, padding, dilation, groups, needs, wanted):
    return (backend.same_format(x, x.shape) if needs[0] else x.new_empty(0),
            backend.same_format(weight, weight.shape)
            if needs[1] else weight.new_empty(0),
            rate.new_empty(rate.shape if needs[2] else 0))


def _setup_context(ctx, inputs, output):
    x, weight, rate, _, *ctx.sizes, ctx.wanted = inputs
    ctx.save_for_backward(x, weight, rate)


def _differentiate(ctx, grad, backward=_backward):
    x, weight, rate = ctx.saved_tensors
    needs = list(ctx.needs_input_grad[:3])
    grads = [None] * 3
    if any(needs):
        computed = backward(grad, x, weight, rate, *ctx.sizes, needs,
                            ctx.wanted)
        grads = [g if need else None
                 for g, need in zip(computed, needs, strict=True)]
    bias = grad.sum((0, 2, 3)) if ctx.needs_input_grad[3] else None
    return (*grads, bias, None, None, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_setup_context)


class _Eager(torch.autograd.Function):
    """The operator without the dispatcher, which costs 0.2 ms a step.

    Nothing is traced, so nothing needs to see an operator here.
    """

    @staticmethod
    def forward(ctx, *inputs):
        _setup_context(ctx, inputs, None)
        return _compute(*inputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return _differentiate(ctx, grad, _compute_backward)
