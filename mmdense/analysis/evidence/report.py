"""How far the arms of a comparison lie apart: table, plot and JSON."""
import json
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmdense import networks
from mmdense.analysis import complexity
from mmdense.analysis.evidence.definitions import Arm, Comparison, Metric
from mmdense.analysis.evidence.runs import finished, run_folder

__all__ = [
    'Difference', 'NO_DIFFERENCE', 'collect', 'count', 'difference', 'draw',
    'half_interval', 'number', 'reading', 'table', 'write'
]

NO_DIFFERENCE = 'no difference shown'


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
