"""The order in which initial values are set."""
from mmengine.model import BaseModule, PretrainedInit, initialize


class OwnValuesFirst(BaseModule):
    """A module whose ``init_cfg`` is applied after its own initial values.

    mmengine applies ``init_cfg`` first and calls the children's
    ``init_weights`` then, so that ours would silently undo what a user asked
    for. A parent's ``init_cfg``, which names our layers by accident, is still
    undone.
    """

    def init_weights(self) -> None:
        """Set the modules' own values, then those of ``init_cfg``."""
        again = self.is_init
        given, self.init_cfg = self.init_cfg, None
        super().init_weights()
        self.init_cfg = given
        if given and not again:
            configs = [given] if isinstance(given, dict) else given
            # Pretrained weights last, as in mmengine.
            initialize(
                self,
                sorted(configs, key=lambda config: config['type'] in
                       ('Pretrained', PretrainedInit)))
