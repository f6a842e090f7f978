"""Adapters for mmseg; importing this registers them."""
import mmdense.adapters  # noqa: F401
