"""The hook that checks a data set before a training starts."""
import itertools

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdense.datasets.checks.data import (
    DataWarning,
    dataset_faults,
    head_faults,
)
from mmdense.registry import HOOKS


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Hook that stops a training before its first step if its data has faults.

    Checks the training set and the validation set, whose faults would show one
    epoch later. A :class:`DataWarning` goes into the log.

    mmengine builds both sets before it calls any hook. If that fails (an
    annotation file that does not parse, an empty data set), the host raises
    its own error; ``tools/train.py`` and ``tools/check_data.py`` name the
    fault.

    Args:
        decode (bool): Whether to read every image and label completely.

    Raises:
        ValueError: If a set has faults (:func:`dataset_faults`); the message
            lists the first ten.
    """

    shown = 10

    def __init__(self, decode: bool = False):
        self.decode = decode

    def before_train(self, runner: Runner) -> None:
        """Check both sets.

        Args:
            runner (Runner): The runner, with its data loaders built.
        """
        self._check(runner, 'training', runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            self._check(runner, 'validation', runner.val_dataloader.dataset)

    def _check(self, runner: Runner, name: str, dataset) -> None:
        faults = []
        for fault in itertools.chain(
                head_faults(runner.cfg, dataset),
                dataset_faults(dataset, self.decode)):
            if isinstance(fault, DataWarning):
                runner.logger.warning(f'the {name} set: {fault}')
            elif len(faults) < self.shown:
                faults.append(fault)
            else:
                faults.append('...')
                break
        if faults:
            raise ValueError(f'the {name} set has faults:\n' +
                             '\n'.join(faults))
