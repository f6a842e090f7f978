"""Deformable convolution against loops, and how gradients are written."""
import inspect
from itertools import product

import pytest
import torch
from mmcv_ops_cases import (
    CONVOLUTIONS,
    answered_by,
    convolution_inputs,
    numbers,
    with_gradients,
)

operators = pytest.importorskip('mmcv_ops_torchvision').OPERATORS


def read(image, y, x):
    """Bilinear sample of image (H, W), zero outside."""
    height, width = image.shape
    y0, x0 = int(y.floor()), int(x.floor())
    value = 0
    for i, j in product((y0, y0 + 1), (x0, x0 + 1)):
        if 0 <= i < height and 0 <= j < width:
            value = value + (1 - (y - i).abs()) * (1 - (x - j).abs()) * \
                image[i, j]
    return value


def convolve_in_loops(x, offset, mask, weight, bias, stride, padding, dilation,
                      groups, deform_groups):
    """The sum of the paper's equation, one product at a time.

    Offsets come as (deform group, kernel row, kernel column, (dy, dx)).
    """
    out, inner, kh, kw = weight.shape
    n, channels = x.shape[:2]
    offset = offset.unflatten(1, (deform_groups, kh, kw, 2))
    mask = mask.unflatten(1, (deform_groups, kh, kw))
    cells = offset.shape[-2:]
    sums = {}
    for b, o, u, v in product(range(n), range(out), *map(range, cells)):
        total = bias[o]
        for c, i, j in product(range(inner), range(kh), range(kw)):
            channel = o // (out // groups) * inner + c
            group = channel // (channels // deform_groups)
            dy, dx = offset[b, group, i, j, :, u, v]
            y = u * stride[0] - padding[0] + i * dilation[0] + dy
            z = v * stride[1] - padding[1] + j * dilation[1] + dx
            total = total + (
                weight[o, c, i, j] * mask[b, group, i, j, u, v] *
                read(x[b, channel], y, z))
        sums[b, o, u, v] = total
    return torch.stack(list(sums.values())).view(n, out, *cells)


SMALL = dict(
    size=(2, 4, 3, 4), out=2, kernel=(2, 3), stride=(2, 1), padding=(1, 0),
    dilation=(1, 1), groups=2, deform_groups=2)


def test_modulated_equals_loops():
    tensors, rest = convolution_inputs(torch.float64, **SMALL)
    wanted = with_gradients(lambda *t: convolve_in_loops(*t, *rest), *tensors)
    modulated = pytest.importorskip('mmcv.ops').modulated_deform_conv2d
    with answered_by(operators):
        got = with_gradients(lambda *t: modulated(*t, *rest), *tensors)
    torch.testing.assert_close(got, wanted)


def test_first_version_equals_loops():
    tensors, rest = convolution_inputs(torch.float64, **SMALL)
    x, offset, mask, weight, bias = tensors
    wanted = with_gradients(
        lambda x, offset, weight: convolve_in_loops(
            x, offset, torch.ones_like(mask), weight, torch.zeros_like(bias),
            *rest), x, offset, weight)
    deform_conv2d = pytest.importorskip('mmcv.ops').deform_conv2d
    with answered_by(operators):
        got = with_gradients(lambda *t: deform_conv2d(*t, *rest), x, offset,
                             weight)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize('wanted', [(0, ), (1, ), (2, ), (0, 2)])
def test_frozen_inputs_change_no_gradient(wanted):
    """Also that nothing is kept from one backward for another."""
    deform_conv2d = pytest.importorskip('mmcv.ops').deform_conv2d
    (x, offset, _, weight, _), rest = convolution_inputs(
        torch.float64, **CONVOLUTIONS['uneven'])
    with answered_by(operators):
        full = with_gradients(lambda *t: deform_conv2d(*t, *rest), x, offset,
                              weight)[1:]
        leaves = [t.detach() for t in (x, offset, weight)]
        chosen = [leaves[i].requires_grad_() for i in wanted]
        output = deform_conv2d(*leaves, *rest)
        direction = numbers(*output.shape, seed=99)
        for factor in (1, 3):
            got = torch.autograd.grad(
                output, chosen, factor * direction, retain_graph=True)
            torch.testing.assert_close(
                got, tuple(factor * full[i] for i in wanted))


def numbers_of(name, **more):
    """The integers of a call with a 3 x 3 kernel, stride 1 and padding 1."""
    values = dict(
        kW=3, kH=3, dW=1, dH=1, padW=1, padH=1, dilationW=1, dilationH=1,
        kernel_h=3, kernel_w=3, stride_h=1, stride_w=1, pad_h=1, pad_w=1,
        dilation_h=1, dilation_w=1, group=1, deformable_group=1,
        im2col_step=1, **more)
    wanted = inspect.signature(operators[name]).parameters
    return {key: values[key] for key in values if key in wanted}


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_gradients_are_added_where_mmcv_adds_them(dtype):
    """All but those of offsets and masks, which are overwritten."""
    (x, offset, mask, weight, bias), _ = convolution_inputs(
        dtype, **CONVOLUTIONS['plain'])
    grad = numbers(1, 3, 5, 4, seed=20, dtype=dtype)
    empty = x.new_empty(0)

    def first(start):
        found = [torch.full_like(t, start) for t in (x, offset, weight)]
        operators['deform_conv_backward_input'](
            x, offset, grad, *found[:2], weight, empty,
            **numbers_of('deform_conv_backward_input'))
        operators['deform_conv_backward_parameters'](
            x, offset, grad, found[2], empty, empty,
            **numbers_of('deform_conv_backward_parameters', scale=0.5))
        return found

    def second(start):
        found = [
            torch.full_like(t, start)
            for t in (x, weight, bias, offset, mask)
        ]
        operators['modulated_deform_conv_backward'](
            x, weight, bias, empty, offset, mask, empty, *found, grad,
            **numbers_of('modulated_deform_conv_backward', with_bias=True))
        return found

    for function, overwritten in ((first, {1}), (second, {3, 4})):
        for i, (zero, two) in enumerate(
                zip(function(0), function(2), strict=True)):
            torch.testing.assert_close(
                two, zero if i in overwritten else zero + 2)


def test_scale_multiplies_the_gradient_of_the_weight():
    (x, offset, _, weight, _), _ = convolution_inputs(
        torch.float64, **CONVOLUTIONS['plain'])
    grad = numbers(1, 3, 5, 4, seed=20)
    found = []
    for scale in (1, 0.25):
        found.append(torch.zeros_like(weight))
        operators['deform_conv_backward_parameters'](
            x, offset, grad, found[-1], x.new_empty(0), x.new_empty(0),
            **numbers_of('deform_conv_backward_parameters', scale=scale))
    torch.testing.assert_close(found[1], 0.25 * found[0])
