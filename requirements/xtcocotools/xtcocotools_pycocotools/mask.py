"""Run-length masks, those of pycocotools."""
from pycocotools.mask import (
    area,
    decode,
    encode,
    frPyObjects,
    iou,
    merge,
    toBbox,
)

__all__ = [
    'area', 'decode', 'encode', 'frPyObjects', 'iou', 'merge', 'toBbox'
]
