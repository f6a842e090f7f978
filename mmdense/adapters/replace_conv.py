"""Any host's backbone with the convolutions a pattern names replaced."""
import re

from mmcv.cnn import build_conv_layer
from torch import nn

from mmdense.arguments import check_config
from mmdense.registry import MODELS


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
    _, lost = new.load_state_dict(old.state_dict(), strict=False)
    if lost:
        raise ValueError(f'ReplaceConv wants a layer that keeps {lost} of '
                         f'{name!r}, got {conv}')
    return new.to(old.weight.device, old.weight.dtype).train(old.training)


@MODELS.register_module('ReplaceConv')
def replace_conv(backbone: dict,
                 conv: dict,
                 pattern: str,
                 pretrained: str | None = None) -> nn.Module:
    """Build a backbone and replace the convolutions a pattern names.

    The result is the host's own backbone, so its state-dict keys, features
    and ``init_weights`` stay: a checkpoint of the plain backbone loads, with
    only the new layers' own parameters missing.

    Args:
        backbone (dict): Config of the backbone, of any host.
        conv (dict): Config of the new layer, ``type`` and its own arguments;
            what the convolution is told about channels, kernel, stride,
            padding, dilation, groups and bias is taken from the old one.
        pattern (str): Regular expression; a layer is replaced when it matches
            the whole name, as ``r'layer[1-4]\\.\\d+\\.conv2'``.
        pretrained (str, optional): What a segmentor of mmsegmentation hands
            its backbone, its ``model.pretrained``.

    Returns:
        nn.Module: The backbone.

    Raises:
        TypeError: If ``backbone`` or ``conv`` is no dict.
        ValueError: If one has no type, or the pattern is no regular
            expression, matches no layer, or one that is no ``nn.Conv2d``, or
            the new layer cannot take the old one's place; names the layer.
        KeyError: If ``conv`` names a layer no registry knows.
    """
    check_config(backbone=backbone, conv=conv)
    try:
        re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ValueError(f'pattern wants a regular expression, got '
                         f'{pattern!r}: {error}') from None
    if pretrained is not None:
        backbone = dict(backbone, pretrained=pretrained)
    model = MODELS.build(backbone)
    matched = [(name, module) for name, module in model.named_modules()
               if re.fullmatch(pattern, name)]
    if not matched:
        names = [
            name for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d)
        ]
        shown = ', '.join(names[:8]) + (', ...' if len(names) > 8 else '')
        raise ValueError(f'ReplaceConv: pattern {pattern!r} matches no layer '
                         f'of {type(model).__name__}; its convolutions are '
                         f'{shown or "none"}')
    for name, module in matched:
        if not isinstance(module, nn.Conv2d):
            raise ValueError(
                f'ReplaceConv: pattern {pattern!r} matches {name!r}, which is '
                f'{type(module).__name__}, no convolution')
        parent, _, child = name.rpartition('.')
        setattr(
            model.get_submodule(parent), child,
            _replacement(module, name, conv))
    return model
