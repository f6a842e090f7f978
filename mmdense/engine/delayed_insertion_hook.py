"""Insertion of modules into a network after some training without them.

Source: T. Qi et al., *Spatial Shortcut Network for Human Pose Estimation*,
arXiv:1904.03141, Section 4, "delayed insertion".
"""
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmdense.arguments import check_at_least
from mmdense.modules.insertable import Insertable
from mmdense.registry import HOOKS


@HOOKS.register_module()
class DelayedInsertionHook(Hook):
    """Hook that leaves out every :class:`Insertable` in the first iterations.

    Before the insertion the network computes exactly what it computes without
    these modules, and their parameters keep their initial values. Only the
    number of iterations counts, so a resumed training continues correctly. To
    fine-tune a network with the modules, remove the hook.

    With several processes the parameters that are left out get no gradient:
    set ``find_unused_parameters = True`` in the config. At the insertion the
    network is wrapped anew without it, since searching the graph for unused
    parameters costs time at every step.

    Args:
        begin (int): Iterations before the insertion.
        keep_wrapper (bool): Do not wrap anew, because the network has other
            parameters that are sometimes unused.

    Raises:
        TypeError: If ``begin`` is not an integer.
        ValueError: If ``begin`` is negative; at the start of the training,
            if the network has no such module.
    """

    def __init__(self, begin: int, keep_wrapper: bool = False):
        check_at_least(0, begin=begin)
        self.begin = begin
        self.keep_wrapper = keep_wrapper
        self.pending = True

    def before_train(self, runner: Runner) -> None:
        """Leave the modules out, unless the insertion is already past.

        Args:
            runner (Runner): The runner, with the resumed state loaded.
        """
        modules = self._modules(runner)
        if not modules:
            raise ValueError(
                'DelayedInsertionHook found no Insertable in the network; '
                'remove the hook, or a wrong type is configured')
        for module in modules:
            module.insert(False)
        self.pending = True
        if runner.iter >= self.begin:
            self._insert(runner)

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Insert the modules at iteration ``begin``.

        Args:
            runner (Runner): The runner, which counts the iterations.
            *args, **kwargs: Not used.
        """
        if self.pending and runner.iter >= self.begin:
            self._insert(runner)

    def _insert(self, runner: Runner) -> None:
        modules = self._modules(runner)
        for module in modules:
            module.insert()
        self.pending = False
        runner.logger.info(f'inserted {len(modules)} modules after '
                           f'{runner.iter} iterations')
        model = runner.model
        if (is_model_wrapper(model) and not self.keep_wrapper
                and getattr(model, 'find_unused_parameters', False)):
            config = dict(
                type='MMDistributedDataParallel', broadcast_buffers=False)
            config.update(runner.cfg.get('model_wrapper_cfg') or {})
            config['find_unused_parameters'] = False
            runner.model = runner.wrap_model(config, model.module)

    @staticmethod
    def _modules(runner: Runner) -> list[nn.Module]:
        return [m for m in runner.model.modules() if isinstance(m, Insertable)]
