"""Our convolutions, registered for ``conv_cfg``, ``dcn`` and the like."""
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.registry import MODELS

MODELS.register_module(module=AdaptiveDilatedConv2d)
