"""Convolution with one fractional dilation rate a sample and channel group."""
from mmdense.ops.adaptive_dilated_conv2d.function import (
    adaptive_dilated_conv2d,
)

__all__ = ['adaptive_dilated_conv2d']
