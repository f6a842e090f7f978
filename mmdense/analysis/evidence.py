"""A method against its baseline: trained alike, compared seed by seed.

A comparison is a few configs ("arms") with one data set, budget and schedule.
Each arm is trained by its host's own script once a seed; the seed decides the
initial weights and the order of the data, so arms are compared in pairs of
equal seed. ``comparisons.json`` defines the comparisons:

* ``host``, ``data`` (the set and the budget, as text) and ``claim``, what the
  paper says, with its table;
* ``baseline``, the name of one arm;
* ``arms``, names to ``config`` (below ``configs/``) and, where wanted,
  ``options``, as ``--cfg-options`` takes them;
* ``metrics``: ``key`` in the host's result file, ``name``, ``scale`` it is
  multiplied with, ``unit``, and ``better``, 'higher' or 'lower'.

A run is done when its folder holds ``result.json``, which is written last and
in one step; anything less is resumed from its checkpoint, or trained anew.
The folder's name holds a digest of the whole config, so a changed recipe
never meets the runs of the old one, and comparisons share equal arms.
"""
import argparse
import hashlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmengine.config import Config

from mmdense import networks
from mmdense.analysis import complexity
from mmdense.networks.options import add_cfg_options

DEFINITIONS = Path(__file__).with_name('comparisons.json')
NO_DIFFERENCE = 'no difference shown'
# Lines of a failed run's log that are shown.
TAIL = 15


class RunError(RuntimeError):
    """A training that ended without its result."""


@dataclass(frozen=True)
class Metric:
    """A figure of the host's result file, and how it is printed."""
    key: str
    name: str
    better: str
    unit: str = '%'
    scale: float = 1.


@dataclass(frozen=True)
class Arm:
    """One network of a comparison."""
    name: str
    config: Path
    options: tuple[str, ...] = ()

    def read(self) -> Config:
        """The arm's whole config.

        Raises:
            ValueError: As :func:`mmdense.networks.load_config`.
        """
        parser = argparse.ArgumentParser()
        add_cfg_options(parser)
        words = ['--cfg-options', *self.options] if self.options else []
        return networks.load_config(
            self.config, parser.parse_args(words).cfg_options)


@dataclass(frozen=True)
class Comparison:
    """Arms that differ in the network alone, one of them the baseline."""
    name: str
    host: str
    data: str
    claim: str
    baseline: str
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Difference:
    """An arm minus the baseline, over the seeds both have.

    ``low`` and ``high`` are the 95 % t interval of the mean difference, None
    with fewer than two pairs.
    """
    pairs: int
    mean: float | None
    low: float | None
    high: float | None
    verdict: str


def comparisons(configs: Path,
                definitions: Path = DEFINITIONS) -> dict[str, Comparison]:
    """All comparisons by name.

    Args:
        configs (Path): The ``configs`` folder.
        definitions (Path): The file that defines them.
    """
    found = {}
    for name, entry in json.loads(definitions.read_text()).items():
        found[name] = Comparison(
            name=name,
            host=entry['host'],
            data=entry['data'],
            claim=entry['claim'],
            baseline=entry['baseline'],
            arms=tuple(
                Arm(arm, configs / what['config'],
                    tuple(what.get('options', ())))
                for arm, what in entry['arms'].items()),
            metrics=tuple(Metric(**metric) for metric in entry['metrics']))
    return found


def pick(known: dict[str, Comparison], name: str) -> Comparison:
    """The comparison of a name.

    Raises:
        ValueError: If there is none; names those there are.
    """
    if name not in known:
        raise ValueError(f'no comparison {name!r}; there are '
                         f'{", ".join(sorted(known))}')
    return known[name]


def difference(arm: dict[int, float],
               baseline: dict[int, float],
               better: str) -> Difference:
    """Compare two arms seed by seed.

    ``mean +- t(0.975, n - 1) s / sqrt(n)`` of the ``n`` differences, ``s``
    their standard deviation. The verdict follows the interval alone: it is
    'no difference shown' when that holds zero, or with fewer than two pairs.
    No correction is made for the number of comparisons: of twenty rows
    without any difference, one is expected to show one.

    Args:
        arm (dict[int, float]): Seed to figure.
        baseline (dict[int, float]): The same of the baseline.
        better (str): 'higher' or 'lower'.

    Raises:
        ValueError: If ``better`` is neither.
    """
    if better not in ('higher', 'lower'):
        raise ValueError(f"better wants 'higher' or 'lower', got {better!r}")
    gains = [arm[seed] - baseline[seed] for seed in sorted(
        arm.keys() & baseline.keys())]
    if not gains:
        return Difference(0, None, None, None, '-')
    mean = statistics.fmean(gains)
    if len(gains) < 2:
        return Difference(1, mean, None, None, NO_DIFFERENCE)
    half = half_interval(gains)
    low, high = mean - half, mean + half
    if low <= 0 <= high:
        verdict = NO_DIFFERENCE
    else:
        verdict = 'better' if (mean > 0) == (better == 'higher') else 'worse'
    return Difference(len(gains), mean, low, high, verdict)


def half_interval(values: list[float]) -> float:
    """Half the width of the 95 % t interval of a mean; at least 2 values."""
    from scipy.stats import t
    spread = statistics.stdev(values)
    return float(t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(
        len(values))


def last_step(config: Config) -> int:
    """The step, in the host's result file, of a finished training.

    Raises:
        ValueError: If the config says no length.
    """
    for key in ('max_epochs', 'max_iters'):
        if config.train_cfg.get(key):
            return config.train_cfg[key]
    raise ValueError(
        f'train_cfg wants max_epochs or max_iters, got {config.train_cfg}')


def read_metrics(folder: Path, metrics: Iterable[Metric],
                 step: int) -> dict[str, float]:
    """The figures of a training's last step, from the host's result file.

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
        raise RunError(f'{files[-1]}: wants an evaluation at step {step}, '
                       f'got {came or "none"}')
    missing = [key for key in wanted if key not in found]
    if missing:
        raise RunError(f'{files[-1]}: no {missing} among {sorted(found)}')
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


def digest(config: Config) -> str:
    """Eight characters that any change of the config changes."""
    content = json.dumps(config.to_dict(), sort_keys=True, default=repr)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


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


def count(arm: Arm) -> dict | None:
    """Parameters and multiply-adds at the size the arm trains at.

    None for a network that cannot be built and run here; training it says
    why.
    """
    config = arm.read()
    try:
        model = networks.build_model(config)
        channels = networks.input_channels(model)
        counted, _ = complexity.count_model(
            model, networks.input_shape(config), channels)
    except ValueError:
        return None
    return dict(params=counted.total.params, macs=counted.total.macs)


def collect(comparison: Comparison,
            seeds: Iterable[int],
            work: Path,
            counter: Callable[[Arm], dict | None] = count) -> dict:
    """What finished runs say; nothing is trained.

    Args:
        comparison (Comparison): Whose runs.
        seeds (Iterable[int]): Which seeds of them.
        work (Path): Where runs lie.
        counter (Callable): As :func:`count`.

    Returns:
        dict: As it is written to JSON: ``arms`` by name, each with
            ``params``, ``macs``, ``resumed`` (seeds that were stopped on
            their way) and ``metrics`` by key: ``values`` by seed, ``mean``,
            ``std`` and ``difference``. Figures are scaled.
    """
    seeds, done = list(seeds), {}
    for arm in comparison.arms:
        config = arm.read()
        results = {
            seed: finished(run_folder(work, arm, config, seed))
            for seed in seeds
        }
        done[arm.name] = {s: r for s, r in results.items() if r}

    def values(arm: str, metric: Metric) -> dict[int, float]:
        return {
            seed: metric.scale * result['metrics'][metric.key]
            for seed, result in done[arm].items()
            if metric.key in result['metrics']
        }

    arms = {}
    for arm in comparison.arms:
        figures = {}
        for metric in comparison.metrics:
            mine = values(arm.name, metric)
            entry = dict(
                values=mine,
                mean=statistics.fmean(mine.values()) if mine else None,
                std=(statistics.stdev(mine.values())
                     if len(mine) > 1 else None))
            if arm.name != comparison.baseline:
                entry['difference'] = asdict(
                    difference(mine, values(comparison.baseline, metric),
                               metric.better))
            figures[metric.key] = entry
        arms[arm.name] = dict(
            config=arm.config.name,
            options=list(arm.options),
            **(counter(arm) or dict(params=None, macs=None)),
            resumed=[s for s, r in done[arm.name].items() if r['resumed']],
            metrics=figures)
    return dict(
        name=comparison.name,
        data=comparison.data,
        claim=comparison.claim,
        baseline=comparison.baseline,
        metrics=[asdict(metric) for metric in comparison.metrics],
        arms=arms)


def table(report: dict) -> str:
    """A report as a table in Markdown, one row an arm."""
    metrics = report['metrics']
    names = [f'{m["name"]} ({m["unit"]}, {m["better"]} is better)'
             for m in metrics]
    head = ['Arm', 'Parameters (10^6)', 'Multiply-adds (10^9)', 'Seeds']
    for name in names:
        head += [name, 'difference, 95 % interval', 'reading']
    rows = [head, ['---'] * len(head)]
    for arm, what in report['arms'].items():
        seeds = {s for m in what['metrics'].values() for s in m['values']}
        row = [
            arm,
            number(what['params'], 1e-6, 3),
            number(what['macs'], 1e-9, 4),
            str(len(seeds)) + (
                f' ({len(what["resumed"])} resumed)'
                if what['resumed'] else '')
        ]
        for metric in metrics:
            entry = what['metrics'][metric['key']]
            spread = number(entry['std'])
            row.append(
                number(entry['mean'])
                + (f' ± {spread}' if entry['std'] is not None else ''))
            row += reading(entry.get('difference'))
        rows.append(row)
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join([
        f'# {report["name"]}', '', f'{report["data"]}.', '',
        f'The paper: {report["claim"]}', '', *lines, '',
        f'Mean ± standard deviation over seeds; difference to '
        f'"{report["baseline"]}" seed by seed.', ''
    ])


def reading(entry: dict | None) -> list[str]:
    """Two cells: a difference with its interval, and its verdict."""
    if entry is None:
        return ['', 'baseline']
    if entry['mean'] is None:
        return ['-', '-']
    interval = ('' if entry['low'] is None else
                f' [{entry["low"]:+.2f}, {entry["high"]:+.2f}]')
    return [f'{entry["mean"]:+.2f}{interval}', entry['verdict']]


def number(value: float | None, scale: float = 1, digits: int = 2) -> str:
    return '-' if value is None else f'{value * scale:.{digits}f}'


def draw(report: dict, path: Path) -> None:
    """One panel a metric: each run a point, the mean, its 95 % interval."""
    from matplotlib.figure import Figure
    metrics, arms = report['metrics'], report['arms']
    figure = Figure(
        figsize=(1.5 + len(metrics) * (1 + len(arms)), 6),
        layout='constrained')
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        for at, what in enumerate(arms.values()):
            values = list(what['metrics'][metric['key']]['values'].values())
            if not values:
                continue
            panel.plot([at] * len(values), values, 'o', color='C0', alpha=0.6)
            half = half_interval(values) if len(values) > 1 else 0
            panel.errorbar(
                at + 0.2, statistics.fmean(values), half, fmt='_',
                color='black', capsize=4, markersize=12)
        panel.set_xticks(
            range(len(arms)), list(arms), rotation=30, ha='right')
        panel.set_xlim(-0.5, len(arms) - 0.3)
        panel.set_xlabel('network')
        panel.set_ylabel(f'{metric["name"]} ({metric["unit"]}), '
                         f'{metric["better"]} is better')
        panel.grid(axis='y', alpha=0.3)
    figure.suptitle(f'{report["name"]}: runs, mean, 95 % interval of the mean')
    figure.savefig(path, dpi=120)


def write(report: dict, folder: Path) -> Path:
    """Writes ``<name>.md``, ``.json`` and ``.png``; the first one's path."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / report['name']
    stem.with_suffix('.json').write_text(json.dumps(report, indent=2) + '\n')
    draw(report, stem.with_suffix('.png'))
    stem.with_suffix('.md').write_text(table(report))
    return stem.with_suffix('.md')
