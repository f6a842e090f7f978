"""Has checkpoints written whole, and refuses those that do not fit."""
from pathlib import Path

from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint

from mmdense.engine.checkpoint import (
    check_whole,
    is_whole,
    misfit,
    weights_of,
)
from mmdense.engine.whole_files import WholeFileBackend
from mmdense.registry import HOOKS


@HOOKS.register_module()
class CheckpointCheckHook(Hook):
    """Checks that a checkpoint is whole and fits the network.

    mmengine loads with ``strict=False``: a checkpoint of another
    architecture leaves the network as it was initialised, with nothing but a
    list of keys in the log, and the test prints a result. This hook raises
    instead, when testing or resuming if anything is missing, unknown or of
    another shape, and when ``load_from`` starts a training if nothing fits
    at all (a new head is what one fine-tunes). A truncated file is named.

    It also has mmengine's ``CheckpointHook`` write so that a run killed at
    any moment leaves a whole checkpoint (:class:`WholeFileBackend`), and
    ``--resume`` takes the newest whole one where the file that
    ``last_checkpoint`` names is not.

    Raises:
        ValueError: Names the file, what was wanted and what came.
    """

    # Before EMAHook (priority NORMAL) swaps weights in the checkpoint.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Look at the file before mmengine opens it.

        Args:
            runner (Runner): About to load or resume.
        """
        hooks = [h for h in runner.hooks if isinstance(h, CheckpointHook)]
        for hook in hooks:
            if not (hook.backend_args or hook.file_client_args
                    or '://' in str(hook.out_dir)):
                hook.backend_args = dict(backend=WholeFileBackend.name)
        path = self._path(runner)
        if path is not None and '://' in path:
            return
        if runner._resume and runner._load_from is None:
            path = path or ''
            if is_whole(path):
                return
            folder = Path(path).parent
            if not path or not folder.is_dir():
                folder = Path(runner.work_dir)
            others = [
                file for hook in hooks
                for file in folder.glob(hook.filename_tmpl.format('*'))
                if is_whole(file)
            ]
            if others:
                newest = max(others, key=lambda file: file.stat().st_mtime_ns)
                runner.logger.warning(
                    f'last_checkpoint names {path or "nothing"}, which is '
                    f'not whole; resuming from {newest}')
                runner._load_from = str(newest)
                return
        if path and Path(path).is_file():
            try:
                check_whole(path)
            except ValueError as error:
                raise ValueError(
                    f'{error}; resume from an earlier one with --cfg-options '
                    'load_from=PATH, or copy it again') from None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare a checkpoint with the network it is for.

        Args:
            runner (Runner): Holds the network.
            checkpoint (dict): What was read, before it is loaded.
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
