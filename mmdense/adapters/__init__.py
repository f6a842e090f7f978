"""Adapters any host takes: necks, convolution layers, wrappers."""
import mmdense.engine  # noqa: F401
