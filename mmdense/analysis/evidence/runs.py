"""The trainings of a comparison: run, resumed, and read.

A run is done when its folder holds ``result.json``, which is written last and
in one step; anything less is resumed from its checkpoint, or trained anew.
The folder's name holds a digest of the whole config, so a changed recipe
never meets the runs of the old one, and comparisons share equal arms.
"""
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from mmengine.config import Config

from mmdense.analysis.evidence.definitions import (
    Arm,
    Comparison,
    Metric,
    digest,
)

__all__ = [
    'MOVEMENT', 'RunError', 'finished', 'last_step', 'missing_data',
    'read_metrics', 'resumable', 'run', 'run_folder', 'run_once', 'tail',
    'train'
]

# What mmdense.MovementHook logs beside the metrics.
MOVEMENT = ('rates/', 'offsets/')
# Lines of a failed run's log that are shown.
TAIL = 15


class RunError(RuntimeError):
    """A training that ended without its result."""


def last_step(config: Config) -> int:
    """The step, in the host's result file, of a finished training.

    Raises:
        ValueError: If the config says no length.
    """
    for key in ('max_epochs', 'max_iters'):
        if config.train_cfg.get(key):
            return config.train_cfg[key]
    raise ValueError(
        f'train_cfg must have max_epochs or max_iters, got {config.train_cfg}')


def read_metrics(folder: Path, metrics: Iterable[Metric],
                 step: int) -> dict[str, float]:
    """The figures of a training's last step, from the host's result file.

    With them come those of :class:`mmdense.MovementHook`, where there are any.

    Reads ``folder/<timestamp>/vis_data/scalars.json``, a line of JSON per
    record, of the latest timestamp. Its last evaluation has to be ``step``'s.

    Args:
        folder (Path): The run's work_dir.
        metrics (Iterable[Metric]): Which figures.
        step (int): The last epoch or iteration.

    Returns:
        dict[str, float]: Key to figure, as the host wrote it.

    Raises:
        RunError: If there is no file, or no such record in it; names it.
    """
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    if not files:
        raise RunError(f'{folder}: no <timestamp>/vis_data/scalars.json')
    wanted = [metric.key for metric in metrics]
    found = None
    for line in files[-1].read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line a killed training was writing
        if any(key in record for key in wanted):
            found = record
    if found is None or found.get('step') != step:
        came = found and f'step {found.get("step")}'
        raise RunError(f'{files[-1]}: must hold an evaluation at step {step}, '
                       f'got {came or "none"}')
    missing = [key for key in wanted if key not in found]
    if missing:
        raise RunError(f'{files[-1]}: no {missing} among {sorted(found)}')
    wanted += [key for key in found if key.startswith(MOVEMENT)]
    return {key: float(found[key]) for key in wanted}


def missing_data(config: Config) -> list[str]:
    """Folders the config's data sets read that are not there."""
    roots = set()

    def search(part):
        if isinstance(part, dict):
            if part.get('data_root'):
                roots.add(part['data_root'])
            part = part.values()
        elif not isinstance(part, list | tuple):
            return
        for inner in part:
            search(inner)

    for loader in ('train_dataloader', 'val_dataloader'):
        search((config.get(loader) or {}).get('dataset'))
    return sorted(root for root in roots if not Path(root).is_dir())


def run_folder(work: Path, arm: Arm, config: Config, seed: int) -> Path:
    """Where an arm's training of a seed lies, below ``work``."""
    name = f'{arm.config.stem}-{digest(config)}'
    return work / 'runs' / name / f'seed_{seed}'


def finished(folder: Path) -> dict | None:
    """What a finished run left, None where there is none."""
    path = folder / 'result.json'
    return json.loads(path.read_text()) if path.is_file() else None


def resumable(folder: Path, step: int) -> bool:
    """Whether a stopped run has a checkpoint short of its last step.

    One that was stopped at its very end, before the evaluation, cannot be
    resumed: the host would have nothing left to do.
    """
    path = folder / 'last_checkpoint'
    if not path.is_file():
        return False
    checkpoint = Path(path.read_text().strip())
    number = re.search(r'_(\d+)$', checkpoint.stem)
    return (number is not None and int(number[1]) < step
            and (folder / checkpoint.name).is_file())


def train(arm: Arm, seed: int, folder: Path, resume: bool) -> int:
    """Runs the host's training script, one thread; its exit status.

    What it prints is added to ``folder/train.log``.
    """
    command = [
        sys.executable, '-m', 'mmdense.networks.host_scripts', 'train',
        str(arm.config), '--work-dir',
        str(folder), *(['--resume'] if resume else []), '--cfg-options',
        f'randomness.seed={seed}', *arm.options
    ]
    threads = dict.fromkeys(
        ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), '1')
    with open(folder / 'train.log', 'a') as log:
        return subprocess.run(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, **threads)).returncode


def run_once(comparison: Comparison,
             arm: Arm,
             seed: int,
             work: Path,
             trainer: Callable = train) -> str:
    """Sees to it that an arm's run of a seed is finished.

    Args:
        comparison (Comparison): What the arm belongs to.
        arm (Arm): Its config.
        seed (int): ``randomness.seed``.
        work (Path): Where runs lie.
        trainer (Callable): As :func:`train`.

    Returns:
        str: 'done before', 'trained' or 'resumed'.

    Raises:
        RunError: If data is missing or the training gives no result; the
            latter with the end of its log.
        ValueError: If the config does not parse.
    """
    config = arm.read()
    folder = run_folder(work, arm, config, seed)
    done = finished(folder)
    if done and all(m.key in done['metrics'] for m in comparison.metrics):
        return 'done before'
    missing = missing_data(config)
    if missing:
        raise RunError(f'{arm.config.name} reads {", ".join(missing)}, which '
                       f'is not in {Path.cwd()}')
    folder.mkdir(parents=True, exist_ok=True)
    step = last_step(config)
    resume = resumable(folder, step)
    status = trainer(arm, seed, folder, resume)
    try:
        if status:
            raise RunError(f'the training ended with status {status}')
        metrics = read_metrics(folder, comparison.metrics, step)
    except RunError as error:
        raise RunError(f'{error}\n{tail(folder / "train.log")}') from None
    result = dict(
        config=arm.config.name, seed=seed, resumed=resume, metrics=metrics)
    partial = folder / 'result.json.partial'
    partial.write_text(json.dumps(result, indent=2) + '\n')
    os.replace(partial, folder / 'result.json')
    return 'resumed' if resume else 'trained'


def tail(log: Path) -> str:
    if not log.is_file():
        return f'{log}: not there'
    lines = log.read_text(errors='replace').splitlines()[-TAIL:]
    return '\n'.join([f'end of {log}:', *(f'    {line}' for line in lines)])


def run(comparison: Comparison,
        seeds: Iterable[int],
        work: Path,
        trainer: Callable = train,
        say: Callable[[str], None] = print) -> list[str]:
    """Trains what is not finished: the first seed of every arm, the next.

    Args:
        comparison (Comparison): What to train.
        seeds (Iterable[int]): In this order.
        work (Path): Where runs lie.
        trainer (Callable): As :func:`train`.
        say (Callable): Told of every run.

    Returns:
        list[str]: The runs that failed; the others went on.
    """
    failed = []
    for seed in seeds:
        for arm in comparison.arms:
            name = f'{comparison.name}, {arm.name}, seed {seed}'
            try:
                say(f'{name}: {run_once(comparison, arm, seed, work, trainer)}'
                    )
            except (RunError, ValueError) as error:
                failed.append(name)
                say(f'{name}: FAILED: {error}')
    return failed
