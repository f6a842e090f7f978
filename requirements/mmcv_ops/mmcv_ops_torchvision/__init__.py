"""mmcv's operators by torchvision's and PyTorch's, under mmcv's names.

What mmcv 2.1.0 calls on its compiled module ``mmcv._ext``: same names,
positional and keyword arguments, and the results written where mmcv wants
them. mmcv imports this package, so nothing here imports mmcv.
"""
from .about import STAND_IN, __version__
from .table import OPERATORS, UNSUPPORTED

__all__ = ['OPERATORS', 'STAND_IN', 'UNSUPPORTED', '__version__']
