"""Our convolutions under their names, for ``conv_cfg``, ``dcn`` and co."""
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.registry import MODELS

MODELS.register_module(module=AdaptiveDilatedConv2d)
