"""Norms by the hosts' configs, for modules that know torch alone."""
from mmcv.cnn import build_norm_layer
from torch import nn

from mmdense.arguments import check_config
from mmdense.modules.conv_norm import Norm

BATCH_NORM = dict(type='BN')


def norm_from(norm_cfg: dict) -> Norm:
    """What makes a norm from its channels.

    Args:
        norm_cfg (dict): As in the hosts: ``type`` and the norm's options.

    Returns:
        Callable[[int], nn.Module]: The modules' ``norm``.

    Raises:
        TypeError: If ``norm_cfg`` is no dict.
        ValueError: If it has no type.
    """
    check_config(norm_cfg=norm_cfg)

    def norm(channels: int) -> nn.Module:
        return build_norm_layer(norm_cfg, channels)[1]

    return norm
