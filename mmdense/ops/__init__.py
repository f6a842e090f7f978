"""Operators: per-channel bilinear shift, adaptive dilated convolution."""
from mmdense.ops.adaptive_dilated_conv2d import adaptive_dilated_conv2d
from mmdense.ops.backend import (
    available_backends,
    use_backend,
    why_unavailable,
)
from mmdense.ops.channel_shift import channel_shift

__all__ = [
    'adaptive_dilated_conv2d', 'available_backends', 'channel_shift',
    'use_backend', 'why_unavailable'
]
