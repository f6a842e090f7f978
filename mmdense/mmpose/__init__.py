"""Adapters for mmpose; importing this registers them."""
import mmdense.adapters  # noqa: F401
