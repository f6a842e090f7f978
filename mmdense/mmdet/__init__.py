"""Adapters for mmdet; importing this registers them."""
import mmdense.adapters  # noqa: F401
