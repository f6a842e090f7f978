"""Adapters for mmdet; importing this package registers them."""
import mmdense.adapters  # noqa: F401
import mmdense.mmdet.efficientnet_lite  # noqa: F401
import mmdense.mmdet.multinomial_mask_head  # noqa: F401
import mmdense.mmdet.quantizing_roi_extractor  # noqa: F401
