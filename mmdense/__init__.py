"""mmdense: the modules of five dense-prediction sources for OpenMMLab.

Importing the package imports neither mmengine nor a host; :func:`predict` does
when it is called. :mod:`mmdense.registry` loads a ``type='mmdense.X'`` when a
config is built.
"""
from mmdense.config_path import config_path
from mmdense.predicting import predict
from mmdense.version import __version__

__all__ = ['__version__', 'config_path', 'predict']
