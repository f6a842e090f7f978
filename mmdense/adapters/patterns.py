"""Backbones whose parts are chosen by a regular expression."""
import re

from torch import nn

from mmdense.arguments import check_config
from mmdense.registry import MODELS


def build_for_pattern(backbone: dict, pattern: str,
                      pretrained: str | None) -> nn.Module:
    """Build a backbone, after a check of the pattern for its parts.

    Args:
        backbone (dict): Config of the backbone, of any host.
        pattern (str): Regular expression for names of its modules.
        pretrained (str, optional): The ``model.pretrained`` that a segmentor
            of mmsegmentation passes to its backbone.

    Returns:
        nn.Module: The backbone.

    Raises:
        TypeError: If ``backbone`` is not a dict.
        ValueError: If it has no type, or the pattern is not a regular
            expression.
    """
    check_config(backbone=backbone)
    try:
        re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ValueError(f'pattern must be a regular expression, got '
                         f'{pattern!r}: {error}') from None
    if pretrained is not None:
        backbone = dict(backbone, pretrained=pretrained)
    return MODELS.build(backbone)


def first_names(names: list[str]) -> str:
    """Return the first names of a list, as an error shows them."""
    return ', '.join(names[:8]) + (', ...' if len(names) > 8 else '')
