"""Layers, strides and theoretical receptive fields of a built network.

Every tensor of a forward pass carries the receptive field of its positions.
The operators that run are followed, so branches, functional calls and modules
that are used twice are handled. Where branches meet, the widest field counts.
"""
import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmdense.arguments import check_map

aten = torch.ops.aten
# Operators that read the whole map at each position they write.
GLOBAL = ('mean', 'sum', 'amax', 'addmm', 'mm', 'bmm', 'softmax')


@dataclass(frozen=True)
class Field:
    """The receptive field of a feature map, (rows, columns) each.

    Attributes:
        layers (int): Convolutions and linear layers on the longest way.
        stride (tuple): Image pixels between neighbouring positions.
        size (tuple): Side of the receptive field in image pixels; ``math.inf``
            after an operator that sees the whole map.
    """
    layers: int
    stride: tuple
    size: tuple

    def window(self, kernel, stride, dilation=(1, 1), layers=0) -> 'Field':
        """Return the field after a convolution or a pooling."""
        size = tuple(f + (k - 1) * d * s for f, k, d, s in zip(
            self.size, kernel, dilation, self.stride, strict=True))
        step = tuple(a * b for a, b in zip(self.stride, stride, strict=True))
        return Field(self.layers + layers, step, size)

    def finer(self, factors, taps, layers=0) -> 'Field':
        """Return the field after upsampling that reads ``taps`` positions."""
        size = tuple(f + (t - 1) * s for f, t, s in zip(
            self.size, taps, self.stride, strict=True))
        step = tuple(
            s / f for s, f in zip(self.stride, factors, strict=True))
        return Field(self.layers + layers, step, size)


def widest(fields: list[Field]) -> Field:
    """Return the field of several branches together."""
    return Field(
        max(f.layers for f in fields),
        tuple(min(side) for side in zip(*(f.stride for f in fields),
                                        strict=True)),
        tuple(max(side) for side in zip(*(f.size for f in fields),
                                        strict=True)))


def _pair(value, default=None) -> list:
    value = list(value) or list(default)
    return value * 2 if len(value) == 1 else value


class _Follow(TorchDispatchMode):
    """A mode that gives every tensor made from the image a :class:`Field`.

    The tensors are kept, because a new tensor at a reused address would get a
    wrong field.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        start = Field(0, (Fraction(1), ) * 2, (1, 1))
        self.fields = {id(image): (image, start)}

    def of(self, tensor: Tensor) -> Field | None:
        return self.fields.get(id(tensor), (None, None))[1]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sources = []
        for value in args:
            values = value if isinstance(value, list | tuple) else [value]
            sources += [
                self.of(v) for v in values if isinstance(v, Tensor)
            ]
        sources = [field for field in sources if field is not None]
        if sources:
            field = self._through(func, args, out, widest(sources))
            outs = out if isinstance(out, list | tuple) else [out]
            for tensor in outs:
                if isinstance(tensor, Tensor):
                    self.fields[id(tensor)] = tensor, field
        return out

    def _through(self, func, args, out, field: Field) -> Field:
        name = func.overloadpacket.__name__
        if func.namespace != 'aten':
            raise ValueError(f'no receptive field is known for {func}')
        if func is aten.convolution.default:
            kernel, stride = args[1].shape[2:], _pair(args[3])
            if not args[6]:
                return field.window(kernel, stride, _pair(args[5]), layers=1)
            taps = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]
            return field.finer(stride, taps, layers=1)
        if name in ('max_pool2d_with_indices', 'avg_pool2d'):
            kernel = _pair(args[1])
            stride = _pair(args[2] if len(args) > 2 else (), kernel)
            return field.window(kernel, stride)
        if name.startswith('upsample_'):
            factors = [
                Fraction(a, b) for a, b in zip(
                    out.shape[2:], args[0].shape[2:], strict=True)
            ]
            taps = 1 if 'nearest' in name else 4 if 'cubic' in name else 2
            return field.finer(factors, [
                1 if factor == 1 else taps for factor in factors
            ])
        whole = name.strip('_') in GLOBAL or (
            'adaptive' in name and out[0].shape != args[0].shape[1:]
            if isinstance(out, Tensor) else 'adaptive' in name)
        if whole:
            layers = field.layers + ('mm' in name)
            return Field(layers, field.stride, (math.inf, ) * 2)
        return field


def receptive_fields(model: nn.Module, image: Tensor, *args,
                     **kwargs) -> dict[str, Field]:
    """Compute the receptive fields of a forward pass.

    Args:
        model (nn.Module): A network; set ``eval`` before.
        image (Tensor): Its first argument, (N, C, H, W); the meta device
            does, only shapes matter.
        *args: Further arguments of the forward; also keyword arguments.

    Returns:
        dict[str, Field]: The field of the last call of every module that
            returns one tensor, by dotted name, in the order they ended; the
            network itself is ``''``.

    Raises:
        TypeError: If ``image`` is not a floating point tensor.
        ValueError: If ``image`` is not (N, C, H, W), or an operator that is
            not PyTorch's runs.
    """
    check_map(image, None, 'image')
    follow, found, handles = _Follow(image), {}, []

    def note(name):

        def hook(module, inputs, output):
            while isinstance(output, list | tuple) and output:
                output = output[-1]
            field = follow.of(output)
            if field is not None:
                found.pop(name, None)
                found[name] = field

        return hook

    try:
        handles = [
            module.register_forward_hook(note(name))
            for name, module in model.named_modules()
        ]
        with torch.no_grad(), follow:
            model(image, *args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return found
