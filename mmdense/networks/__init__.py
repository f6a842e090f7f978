"""Networks from configs: build, load weights, predict, export."""
from mmdense.networks.build import build_model, input_channels
from mmdense.networks.config import find_config, input_shape, load_config
from mmdense.networks.options import add_cfg_options, add_shape
from mmdense.networks.trained import load_network

__all__ = [
    'add_cfg_options', 'add_shape', 'build_model', 'find_config',
    'input_channels', 'input_shape', 'load_config', 'load_network'
]
