"""Adapters for any host: necks, convolution layers, wrappers."""
import mmdense.adapters.conv_layers  # noqa: F401
import mmdense.adapters.flattening_neck  # noqa: F401
import mmdense.adapters.global_neck  # noqa: F401
import mmdense.adapters.insert_shift  # noqa: F401
import mmdense.adapters.replace_conv  # noqa: F401
import mmdense.adapters.scale_adaptive_conv  # noqa: F401
import mmdense.engine.checkpoint_check_hook  # noqa: F401
import mmdense.engine.data_check_hook  # noqa: F401
import mmdense.engine.delayed_insertion_hook  # noqa: F401
import mmdense.engine.group_schedulers  # noqa: F401
import mmdense.engine.movement_hook  # noqa: F401
import mmdense.engine.offset_check_hook  # noqa: F401
