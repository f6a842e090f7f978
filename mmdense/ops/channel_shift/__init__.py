"""Per-channel bilinear shift."""
from mmdense.ops.channel_shift.function import channel_shift

__all__ = ['channel_shift']
