"""Answers for xtcocotools where that is not installed.

A folder ``xtcocotools`` beside this file, the real one, is found before it.
"""
import xtcocotools_pycocotools
from xtcocotools_pycocotools import STAND_IN, __version__

__all__ = ['STAND_IN', '__version__']
# Makes a package of this module: `xtcocotools.coco` lies there.
__path__ = xtcocotools_pycocotools.__path__
