"""mmdense: the modules of five dense-prediction sources for OpenMMLab.

Importing the package imports no host codebase and no mmengine: what a config
names as ``type='mmdense.X'`` is loaded by :mod:`mmdense.registry` when the
config is built.
"""
from mmdense.config_path import config_path
from mmdense.version import __version__

__all__ = ['__version__', 'config_path']
