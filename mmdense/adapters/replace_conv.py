"""Replace convolutions of any host's backbone, chosen by a pattern."""
import re

import torch
from mmcv.cnn import Conv2d, build_conv_layer
from torch import nn

from mmdense.adapters.patterns import build_for_pattern, first_names
from mmdense.arguments import check_config
from mmdense.registry import MODELS

# mmcv's own differs from torch's for empty maps and torch before 1.5 alone.
FORWARDS = (nn.Conv2d.forward, Conv2d.forward)


def _check_replaceable(layer: nn.Module, name: str) -> None:
    """Raise if a new layer cannot replace this one."""
    kind = type(layer)
    got = f'got {name!r} ({kind.__name__})'
    if not isinstance(layer, nn.Conv2d):
        raise ValueError(
            f'ReplaceConv: pattern must match convolutions only, {got}')
    if (getattr(layer.forward, '__func__', None) not in FORWARDS
            or kind._conv_forward is not nn.Conv2d._conv_forward):
        raise ValueError(
            'ReplaceConv: pattern must match convolutions that compute what '
            f'nn.Conv2d computes, {got} with a forward of its own')
    if set(layer._parameters) != {'weight', 'bias'} or any(
            (layer._modules, layer._forward_hooks, layer._forward_pre_hooks)):
        raise ValueError(
            'ReplaceConv: pattern must match convolutions whose weight is a '
            f'parameter, without hooks, {got} parametrised (spectral or '
            'weight norm) or hooked')
    if layer.padding_mode != 'zeros':
        raise ValueError(
            "ReplaceConv: pattern must match convolutions of padding_mode="
            f"'zeros', {got} of padding_mode={layer.padding_mode!r}")
    if max(layer.kernel_size) == 1:
        raise ValueError(
            'ReplaceConv: pattern must match kernels larger than 1x1, whose '
            f'taps have distances, {got} of 1x1')


def _replacement(old: nn.Conv2d, name: str, conv: dict) -> nn.Module:
    """Build the layer that takes ``old``'s place, with its parameters."""
    try:
        new = build_conv_layer(
            conv,
            old.in_channels,
            old.out_channels,
            old.kernel_size,
            stride=old.stride,
            padding=old.padding,
            dilation=old.dilation,
            groups=old.groups,
            bias=old.bias is not None)
    except (KeyError, TypeError, ValueError) as error:
        raise type(error)(
            f'ReplaceConv cannot build {conv} for layer {name!r} ({old}): '
            f'{error}') from error
    new = new.to(old.weight.device, old.weight.dtype).train(old.training)
    # A frozen stage stays frozen.
    new.requires_grad_(any(p.requires_grad for p in old.parameters()))
    there = dict(new.named_parameters())
    for key, value in old.named_parameters():
        if key not in there or there[key].shape != value.shape:
            raise ValueError(f'ReplaceConv: conv must keep {key!r} of '
                             f'{name!r}, {tuple(value.shape)}, got {conv}')
        # The parameter itself: it may be shared, or frozen by itself.
        new.register_parameter(key, value)
    return new


@MODELS.register_module('ReplaceConv')
def replace_conv(backbone: dict,
                 conv: dict,
                 pattern: str,
                 pretrained: str | None = None) -> nn.Module:
    """Build a backbone and replace the convolutions that match a pattern.

    The result is the host's own backbone, so its state-dict keys, features
    and ``init_weights`` stay: a checkpoint of the plain backbone loads, with
    only the new layers' own parameters missing. Under one seed every other
    parameter of the model starts with the value it has without replacement.
    A layer of a frozen stage is frozen, and a layer used in several places
    is replaced by one in all of them.

    Only what computes as ``nn.Conv2d`` does, with zero padding and a kernel
    larger than 1x1, can be replaced: not a ``ConvWS2d``, timm's
    ``StdConv2d``, ``Conv2dAdaptivePadding`` (the strided layers of mmdet's
    EfficientNet and mmseg's MobileNetV3), a normed or parametrised weight,
    or a layer replaced before.

    Args:
        backbone (dict): Config of the backbone, of any host.
        conv (dict): Config of the new layer, ``type`` and its own arguments.
            Channels, kernel, stride, padding, dilation, groups and bias are
            taken from the old layer.
        pattern (str): Regular expression; a layer is replaced when it matches
            the whole name, as ``r'layer[1-4]\\.\\d+\\.conv2'``.
            ``configs/mmpose/adaptive_dilated_conv/README.md`` lists the
            patterns for each family of backbones.
        pretrained (str, optional): The ``model.pretrained`` that a segmentor
            of mmsegmentation passes to its backbone.

    Returns:
        nn.Module: The backbone.

    Raises:
        TypeError: If ``backbone`` or ``conv`` is not a dict.
        ValueError: If a config has no type, the pattern is not a regular
            expression, matches no layer, or matches a layer that cannot be
            replaced (see above), or the new layer does not fit. The message
            names the layer.
        KeyError: If ``conv`` names a layer that no registry knows.
    """
    check_config(conv=conv)
    model = build_for_pattern(backbone, pattern, pretrained)
    # The same layer may stand in several places.
    places = list(model.named_modules(remove_duplicate=False))
    matched = {module: name for name, module in places
               if re.fullmatch(pattern, name)}
    if not matched:
        names = [
            name for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d)
        ]
        raise ValueError(f'ReplaceConv: pattern {pattern!r} matches no layer '
                         f'of {type(model).__name__}; its convolutions are '
                         f'{first_names(names) or "none"}')
    for module, name in matched.items():
        _check_replaceable(module, name)
    # The random numbers of the new layers are not those of what comes next.
    with torch.random.fork_rng(devices=[]):
        replacements = {
            module: _replacement(module, name, conv)
            for module, name in matched.items()
        }
    for name, module in places:
        if module in replacements:
            parent, _, child = name.rpartition('.')
            setattr(
                model.get_submodule(parent), child, replacements[module])
    return model
