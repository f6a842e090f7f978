"""Adapters for mmpose; importing this package registers them."""
import mmdense.adapters  # noqa: F401
import mmdense.mmpose.folded_heatmap_head  # noqa: F401
import mmdense.mmpose.mpii_pckh  # noqa: F401
import mmdense.mmpose.mpii_predictions  # noqa: F401
import mmdense.mmpose.multi_predictor_head  # noqa: F401
import mmdense.mmpose.of_predictor  # noqa: F401
import mmdense.mmpose.shift_resnet  # noqa: F401
import mmdense.mmpose.torso_pck  # noqa: F401
