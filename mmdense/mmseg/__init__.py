"""Adapters for mmseg; importing this registers them."""
import mmdense.adapters  # noqa: F401
import mmdense.mmseg.pyramid_attention_head  # noqa: F401
