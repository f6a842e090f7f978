"""Insert feature shifting modules into any host's backbone or neck."""
import re

import torch
from torch import nn

from mmdense.adapters.patterns import build_for_pattern, first_names
from mmdense.arguments import check_options
from mmdense.modules.feature_shift import FeatureShiftModule
from mmdense.registry import MODELS


def _shift_input(block: nn.Module, inputs: tuple) -> tuple:
    # Reads the module from the block it is given: a copy of a network (an
    # average of its weights, say) shifts by its own.
    return (block.__dict__['feature_shift'](inputs[0]), *inputs[1:])


def _channels(block: nn.Module, name: str) -> int:
    """Return the channels that a block reads: those of its first layer."""
    got = f'got {name!r} ({type(block).__name__})'
    if isinstance(block, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        raise ValueError(
            'InsertFeatureShift: pattern must match blocks, not containers of '
            f'blocks, {got}; match its first block, {name}.0, instead')
    if 'feature_shift' in block.__dict__:
        raise ValueError('InsertFeatureShift: pattern must match blocks '
                         f'without a feature shifting module, {got}')
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ValueError('InsertFeatureShift: pattern must match blocks with a '
                     f'convolution, which says their channels, {got}')


@MODELS.register_module('InsertFeatureShift')
def insert_feature_shift(backbone: dict,
                         shift: dict,
                         pattern: str,
                         pretrained: str | None = None) -> nn.Module:
    """Build a backbone or neck with a feature shifting module before blocks.

    The result is the host's own network: its state-dict keys, features and
    ``init_weights`` stay, so a checkpoint of the plain one loads, with only
    the parameters of the new modules missing. That before ``layer4.0`` is
    called ``shift_layer4_0``. Before a frozen block it learns all the same.

    Source: T. Qi et al., *Spatial Shortcut Network*, arXiv:1904.03141,
    Section 3: the module is for any part of a network. ``ShiftResNet`` is the
    paper's own ResNet, which this gives with the pattern
    ``r'layer1\\.\\d+|layer[2-4]\\.(?!1$)\\d+'``.

    Args:
        backbone (dict): Config of the backbone or neck, of any host.
        shift (dict): Arguments of
            :class:`~mmdense.modules.feature_shift.FeatureShiftModule` besides
            the channels.
        pattern (str): Regular expression; a module is put before each block
            whose whole name it matches, as ``r'layer4\\.\\d+'``. A block is
            called with one map (N, C, H, W), and its first convolution reads
            this map.
        pretrained (str, optional): The ``model.pretrained`` that a segmentor
            of mmsegmentation passes to its backbone.

    Returns:
        nn.Module: The backbone or neck.

    Raises:
        TypeError: If ``backbone`` or ``shift`` is not a dict.
        ValueError: If the pattern is not a regular expression, matches no
            block, or matches what is not a block (a container, a module
            without convolutions). The message names it. On call, if a block
            does not get a map of its channels.
    """
    check_options(shift=shift)
    model = build_for_pattern(backbone, pattern, pretrained)
    blocks = {name: module for name, module in model.named_modules()
              if name and re.fullmatch(pattern, name)}
    if not blocks:
        names = [name for name, module in model.named_modules()
                 if name.count('.') == 1]
        raise ValueError(
            f'InsertFeatureShift: pattern must match a block of '
            f'{type(model).__name__}, such as {first_names(names)}, got '
            f'{pattern!r}')
    # The random numbers of the new modules are not those of what comes next.
    with torch.random.fork_rng(devices=[]):
        for name, block in blocks.items():
            module = FeatureShiftModule(_channels(block, name), **shift)
            # A child of the network: the host calls the init_weights of its
            # children, not of every block's, after it has set values itself.
            model.add_module(f'shift_{name.replace(".", "_")}', module)
            block.__dict__['feature_shift'] = module
            block.register_forward_pre_hook(_shift_input)
    return model
