"""A hook that checks checkpoints and writes them in one step."""
from collections.abc import Iterator
from pathlib import Path

from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint
from torch import nn

from mmdense.checkpoints.reading import (
    is_whole,
    misfit,
    read_checkpoint,
    weights_of,
)
from mmdense.checkpoints.whole_files import WholeFileBackend
from mmdense.registry import HOOKS


@HOOKS.register_module()
class CheckpointCheckHook(Hook):
    """Hook that checks that a checkpoint is complete and fits the network.

    mmengine loads with ``strict=False``: with a checkpoint of another
    architecture the network keeps its initial values, the log only lists the
    keys, and the test prints a result. This hook raises an error instead. In a
    test or a resumed training, no weight may be missing, unknown or of another
    shape. With ``load_from``, at least one weight must fit (fine-tuning
    replaces the head).

    Before mmengine opens a local file (to resume, for ``load_from`` or for an
    ``init_cfg``), the hook reads it with ``weights_only=True``. mmengine uses
    torch's default, and torch 2.4 would run code in a crafted file. The error
    names a file that is refused, truncated or damaged.

    The hook also lets mmengine's ``CheckpointHook`` write with
    :class:`WholeFileBackend`, so that a run that is killed leaves a complete
    checkpoint. If the file in ``last_checkpoint`` is not complete,
    ``--resume`` takes the newest complete one.

    Raises:
        ValueError: If a checkpoint is damaged or does not fit.
    """

    # Before EMAHook (priority NORMAL) swaps weights in the checkpoint.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Check the file before mmengine opens it.

        Args:
            runner (Runner): The runner, before it loads or resumes.
        """
        hooks = [h for h in runner.hooks if isinstance(h, CheckpointHook)]
        for hook in hooks:
            if not (hook.backend_args or hook.file_client_args
                    or '://' in str(hook.out_dir)):
                hook.backend_args = dict(backend=WholeFileBackend.name)
        path = self._path(runner) or ''
        if (runner._resume and runner._load_from is None
                and '://' not in path and not is_whole(path)):
            path = self._newest_whole(runner, hooks, path) or path
        try:
            _read(path)
        except ValueError as error:
            advice = '' if is_whole(Path(path).expanduser()) else (
                '; resume from an earlier one with --cfg-options '
                'load_from=PATH, or copy it again')
            raise ValueError(f'{error}{advice}') from None
        if isinstance(runner._train_loop, BaseLoop):
            for file in dict.fromkeys(_pretrained(runner.model)):
                _read(file)

    @staticmethod
    def _newest_whole(runner: Runner, hooks: list[CheckpointHook],
                      path: str) -> str | None:
        """Resume from the newest complete file in place of ``path``."""
        folder = Path(path).parent
        if not path or not folder.is_dir():
            folder = Path(runner.work_dir)
        others = {
            file for hook in hooks
            for file in folder.glob(hook.filename_tmpl.format('*'))
        }
        newest_first = sorted(
            others, key=lambda file: file.stat().st_mtime_ns, reverse=True)
        newest = next(filter(is_whole, newest_first), None)
        if newest is None:
            return None
        runner.logger.warning(
            f'last_checkpoint names {path or "nothing"}, which is not whole; '
            f'resuming from {newest}')
        runner._load_from = str(newest)
        return runner._load_from

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare a checkpoint with the network it is for.

        Args:
            runner (Runner): The runner, which holds the network.
            checkpoint (dict): The checkpoint, read but not yet loaded.
        """
        model = runner.model
        # mmengine loads into what these hold as well.
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        here = model.state_dict()
        there = weights_of(checkpoint)
        if isinstance(runner._train_loop, BaseLoop) and not runner._resume:
            if any(name in there and there[name].shape == value.shape
                   for name, value in here.items()):
                return
        difference = misfit(here, there)
        if difference:
            raise ValueError(f'checkpoint {self._path(runner)} does not fit '
                             f'this config\'s network: {difference}')

    @staticmethod
    def _path(runner: Runner) -> str | None:
        if runner._load_from is None and runner._resume:
            return find_latest_checkpoint(runner.work_dir)
        return runner._load_from


def _read(path: str) -> None:
    """Read a local file; leave other addresses to mmengine.
    """
    file = Path(path).expanduser()
    if path and '://' not in path and file.is_file():
        try:
            read_checkpoint(file)
        except ValueError as error:
            # Without torch's own words, which advise to run it all the same.
            raise ValueError(str(error)) from None


def _pretrained(model: nn.Module) -> Iterator[str]:
    """Return the checkpoints that any ``init_cfg`` in a network names."""
    for module in model.modules():
        given = getattr(module, 'init_cfg', None) or []
        for init_cfg in [given] if isinstance(given, dict) else given:
            if isinstance(init_cfg, dict) and init_cfg.get('checkpoint'):
                yield str(init_cfg['checkpoint'])
