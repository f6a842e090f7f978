"""Norms from the hosts' configs, for modules in plain PyTorch."""
from mmcv.cnn import build_norm_layer
from torch import nn

from mmdense.arguments import check_config
from mmdense.modules.conv_norm import Norm

BATCH_NORM = dict(type='BN')


def norm_from(norm_cfg: dict) -> Norm:
    """Return a function that builds a norm for a number of channels.

    Args:
        norm_cfg (dict): As in the hosts: ``type`` and the norm's options.

    Returns:
        Callable[[int], nn.Module]: The modules' ``norm``.

    Raises:
        TypeError: If ``norm_cfg`` is not a dict.
        ValueError: If ``norm_cfg`` has no type.
    """
    check_config(norm_cfg=norm_cfg)

    def norm(channels: int) -> nn.Module:
        return build_norm_layer(norm_cfg, channels)[1]

    return norm
