"""Convolutions by others that read between pixels, over the operator."""
import importlib
import logging
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from mmdense.analysis.benchmarks.convolution_rows import Layer, taps
from mmdense.analysis.benchmarks.rows import RESNET, Row, Setting, timed_row

Deformable = Callable[[Tensor, Tensor, Tensor], Tensor]
# Channels to bar and goal on a CPU.
BARS = {64: (25, 60), 128: (15, 30), 256: (8, 15), 512: (5, 8)}
# A rate is less than 2.5, and a position between pixels needs the next one.
REACH = 3


def torchvision_conv(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """torchvision's deformable convolution, of padding 1.

    Raises:
        ImportError: If torchvision is not installed.
    """
    from torchvision.ops import deform_conv2d
    return deform_conv2d(x, offset, weight, padding=1)


def mmcv_conv(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """mmcv's deformable convolution, of padding 1.

    Raises:
        ImportError: If mmcv has no operators of its own here.
    """
    from mmcv.ops import deform_conv2d
    stand_in = getattr(importlib.import_module('mmcv._ext'), 'STAND_IN', None)
    if stand_in and x.is_cuda:
        raise ImportError(f"mmcv's operators are torchvision's ({stand_in})")
    return deform_conv2d(x, offset, weight, 1, 1, 1, 1, x.shape[1])


def deformable_rows(setting: Setting, name: str,
                    deformable: Deformable) -> Iterator[Row]:
    """A deformable convolution doing the same work over the operator."""
    for dtype in setting.dtypes:
        if dtype == torch.bfloat16:
            continue  # torchvision has no kernel for it.
        for size in setting.sizes or RESNET:
            layer = Layer(size, setting.batch, setting.device, dtype)
            bar, goal = BARS.get(size.channels, (None, None))
            if setting.cuda:
                bar, goal = 8, None
            yield timed_row(
                setting, f'{name} deform_conv2d / ADC, forward + backward',
                size, partial(layer.deformed, deformable), layer.adaptive,
                bar, goal, False, dtype, slow=True)


def static_positions(layer: Layer) -> nn.Module:
    """DCLS with the positions of a layer's first sample.

    Its nine weights lie at learned positions, as far apart as the rates say,
    between the pixels of a larger kernel. The positions are parameters: the
    same for all samples, where ADC's are computed for each.

    Args:
        layer (Layer): Whose rates, below 2.5, and weights it takes.

    Raises:
        ImportError: If dcls is not installed.
    """
    # It warns of a CUDA extension that it does without.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        from DCLS.construct.modules import Dcls2d
        channels = layer.x.shape[1]
        conv = Dcls2d(
            channels,
            channels,
            kernel_count=9,
            dilated_kernel_size=2 * REACH + 1,
            padding=REACH,
            bias=False,
            version='v1').to(layer.x)
    finally:
        logging.disable(before)
    rate = layer.rate.detach()[0].to(layer.x)
    with torch.no_grad():
        conv.weight.copy_(layer.weight.flatten(2))
        # (axis, output, input, tap); its first axis is the column.
        place = rate[:, None, None] * taps().to(layer.x)
        place = place.permute(2, 0, 1).flip(0)
        conv.P.copy_(place[:, None])
    return conv


def dcls_rows(setting: Setting) -> Iterator[Row]:
    """Convolution with learned static positions (DCLS) over the operator."""
    for size in setting.sizes or RESNET:
        layer = Layer(size, setting.batch, setting.device)
        conv = static_positions(layer)

        def step(layer=layer, conv=conv):
            torch.autograd.grad(
                conv(layer.x), (layer.x, conv.weight, conv.P), layer.grad)

        yield timed_row(
            setting, 'DCLS (static positions) / ADC, forward + backward',
            size, step, layer.adaptive, slow=True)
