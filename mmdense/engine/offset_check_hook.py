"""A hook that warns of offsets outside their map."""
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdense.arguments import check_positive
from mmdense.modules.feature_shift import ChannelShift
from mmdense.registry import HOOKS


@HOOKS.register_module()
class OffsetCheckHook(Hook):
    """Hook that warns of channels that are shifted out of their map.

    Such channels read zeros, get no gradient and never come back
    (arXiv:1904.03141, Section 4). Many of them mean that the offsets' learning
    rate is too high or the insertion too early.

    Args:
        interval (int): Iterations between two checks.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is below 1.
    """

    def __init__(self, interval: int = 1000):
        check_positive(interval=interval)
        self.interval = interval
        self.sizes = {}

    def before_train(self, runner: Runner) -> None:
        """Record the size of the map of every shift.

        Args:
            runner (Runner): The runner, which holds the network.
        """
        for module in runner.model.modules():
            if isinstance(module, ChannelShift):
                module.register_forward_pre_hook(self._note)

    def after_train_iter(self, runner: Runner, batch_idx: int, *args,
                         **kwargs) -> None:
        """Check all offsets every ``interval`` iterations.

        Args:
            runner (Runner): The runner, which holds the network.
            batch_idx (int): Not used.
            *args, **kwargs: Not used.
        """
        if not self.every_n_train_iters(runner, self.interval):
            return
        for name, module in runner.model.named_modules():
            if module in self.sizes:
                height, width = self.sizes[module]
                outside = module.outside((height, width))
                if outside:
                    runner.logger.warning(
                        f'{name}: {outside} of {len(module.offset)} offsets '
                        f'have left the map of {height} x {width}; these '
                        'channels give zeros and never come back')

    def _note(self, module, inputs) -> None:
        self.sizes[module] = tuple(inputs[0].shape[-2:])
