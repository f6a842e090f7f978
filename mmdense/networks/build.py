"""Building the network of a config."""
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.nn.modules.conv import _ConvNd

__all__ = ['build_model', 'input_channels']


def build_model(config: Config) -> nn.Module:
    """Build the network of a config with its host's registry, in eval mode.

    Weights keep the values that the constructors set: ``init_weights`` is not
    called, so nothing is downloaded.

    Raises:
        ValueError: If the host cannot build it.
    """
    scope = config.get('default_scope') or 'mmengine'
    try:
        with DefaultScope.overwrite_default_scope(scope):
            return MODELS.build(config.model).eval()
    except Exception as error:  # a host's constructor may raise anything
        raise ValueError(
            'the model does not build: '
            f'{type(error).__name__}: {error}') from error


def input_channels(model: nn.Module) -> int:
    """Return the image channels of a network, from its first convolution.

    A backbone of several streams names them, as ``image_channels``.
    """
    for module in model.modules():
        if hasattr(module, 'image_channels'):
            return module.image_channels
        if isinstance(module, _ConvNd):
            return module.in_channels
    return 3
