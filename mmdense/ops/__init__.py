"""Operators: per-channel bilinear shift, adaptive dilated convolution."""
