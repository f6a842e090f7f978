"""Adapters for mmseg; importing this package registers them."""
import mmdense.adapters  # noqa: F401
import mmdense.mmseg.cell_metrics  # noqa: F401
import mmdense.mmseg.cell_tracking  # noqa: F401
import mmdense.mmseg.depth  # noqa: F401
import mmdense.mmseg.evaluation  # noqa: F401
import mmdense.mmseg.folded_fcn_head  # noqa: F401
import mmdense.mmseg.fully_convolutional  # noqa: F401
import mmdense.mmseg.hrnet_heads  # noqa: F401
import mmdense.mmseg.label_loading  # noqa: F401
import mmdense.mmseg.pointwise_aspp_head  # noqa: F401
import mmdense.mmseg.pyramid_attention_head  # noqa: F401
import mmdense.mmseg.scene_datasets  # noqa: F401
import mmdense.mmseg.segmentation_scores  # noqa: F401
import mmdense.mmseg.transforms  # noqa: F401
import mmdense.mmseg.tta  # noqa: F401
import mmdense.mmseg.valid_u_net  # noqa: F401
