"""Which initial values are the last word."""
from mmengine.model import BaseModule, PretrainedInit, initialize


class OwnValuesFirst(BaseModule):
    """A part whose ``init_cfg`` comes after our modules' own values.

    mmengine applies ``init_cfg`` first and calls the children's
    ``init_weights`` then, so that ours would silently undo what a user asked
    for. A parent's ``init_cfg``, which names our layers by accident, is still
    undone.
    """

    def init_weights(self) -> None:
        """The modules' own values, then those ``init_cfg`` names."""
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
