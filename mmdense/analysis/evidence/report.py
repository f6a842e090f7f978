"""What the finished runs of a comparison say: table, plot and JSON."""
import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from mmdense import networks
from mmdense.analysis import complexity
from mmdense.analysis.evidence.definitions import Arm, Comparison, Metric
from mmdense.analysis.evidence.differences import difference, half_interval
from mmdense.analysis.evidence.results import summary
from mmdense.analysis.evidence.runs import MOVEMENT, finished, run_folder
from mmdense.analysis.evidence.tables import result_table

__all__ = ['collect', 'count', 'draw', 'table', 'write']

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
            their way), ``moved`` (what rates and offsets did, by the keys of
            :class:`mmdense.MovementHook`, means over seeds) and ``metrics``
            by key: ``values`` by seed, ``mean``,
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
            moved=_means(
                [result['metrics'] for result in done[arm.name].values()]),
            resumed=[s for s, r in done[arm.name].items() if r['resumed']],
            metrics=figures)
    return dict(
        name=comparison.name,
        data=comparison.data,
        claim=comparison.claim,
        baseline=comparison.baseline,
        metrics=[asdict(metric) for metric in comparison.metrics],
        arms=arms)


def _means(runs: list[dict[str, float]]) -> dict[str, float]:
    """What the runs' rates and offsets did, each figure a mean over seeds."""
    keys = {key for one in runs for key in one if key.startswith(MOVEMENT)}
    return {
        key: statistics.fmean(one[key] for one in runs if key in one)
        for key in sorted(keys)
    }


def table(report: dict) -> str:
    """A report as a page in Markdown, its table with one row an arm."""
    metrics = [Metric(**metric) for metric in report['metrics']]
    return '\n'.join([
        f'# {report["name"]}', '', f'{report["data"]}.', '',
        f'The paper: {report["claim"]}', '',
        result_table(metrics, list(report['arms']), summary(report)), '',
        f'Mean ± standard deviation over seeds; difference to '
        f'"{report["baseline"]}" seed by seed.', ''
    ])


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
