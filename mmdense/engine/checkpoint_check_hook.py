"""Refuses checkpoints that mmengine would load without a word."""
import zipfile
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint

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
        path = self._path(runner)
        if path is None or '://' in path or not Path(path).is_file():
            return
        with open(path, 'rb') as file:
            start = file.read(2)
        # A zip archive's table of contents is its end: what lacks it was cut.
        if not start or start == b'PK' and not zipfile.is_zipfile(path):
            raise ValueError(
                f'checkpoint {path} is not whole ({Path(path).stat().st_size} '
                'bytes, the end is missing); resume from an earlier one with '
                '--cfg-options load_from=PATH, or copy it again')

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
        there = {
            name.removeprefix('module.'): value
            for name, value in checkpoint.get('state_dict', checkpoint).items()
            if isinstance(value, torch.Tensor)
        }
        missing = [name for name in here if name not in there]
        unknown = [name for name in there if name not in here]
        shapes = [(name, tuple(there[name].shape), tuple(here[name].shape))
                  for name in here
                  if name in there and there[name].shape != here[name].shape]
        training = isinstance(runner._train_loop, BaseLoop)
        if training and not runner._resume:
            if len(missing) + len(shapes) < len(here):
                return
        elif not (missing or unknown or shapes):
            return
        parts = []
        if missing:
            parts.append(f'{len(missing)} of the network\'s {len(here)} '
                         f'entries are not in it ({missing[0]}, ...)')
        if unknown:
            parts.append(f'{len(unknown)} of its entries are not in the '
                         f'network ({unknown[0]}, ...)')
        if shapes:
            name, theirs, ours = shapes[0]
            parts.append(f'{len(shapes)} have another shape ({name}: {theirs} '
                         f'there, {ours} here)')
        raise ValueError(f'checkpoint {self._path(runner)} does not fit this '
                         f'config\'s network: {"; ".join(parts)}')

    @staticmethod
    def _path(runner: Runner) -> str | None:
        if runner._load_from is None and runner._resume:
            return find_latest_checkpoint(runner.work_dir)
        return runner._load_from
