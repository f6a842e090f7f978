"""Tables of comparisons in Markdown."""
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmdense.analysis.evidence.definitions import Comparison, Metric

__all__ = [
    'arms_table', 'number', 'overall_table', 'page_of', 'reading',
    'result_table'
]

NOT_RUN = 'not run'


def result_table(metrics: Iterable[Metric], arms: Iterable[str],
                 results: Mapping[str, dict]) -> str:
    """The figures of one comparison, one row an arm.

    Args:
        metrics (Iterable[Metric]): The comparison's.
        arms (Iterable[str]): Names, in the order of the rows.
        results (Mapping[str, dict]): Of each arm, as
            :func:`mmdense.analysis.evidence.summary` gives it. The row of
            an arm without results says "not run".
    """
    metrics = list(metrics)
    head = ['Arm', 'Parameters (10^6)', 'Multiply-adds (10^9)', 'Seeds']
    for metric in metrics:
        head += [f'{metric.name} ({metric.unit}, {metric.better} is better)',
                 'difference, 95 % interval', 'reading']
    movement = any(what.get('moved') for what in results.values())
    if movement:
        head.append('rates and offsets')
    rows = []
    for arm in arms:
        if arm not in results:
            rows.append([arm, NOT_RUN])
            continue
        what = results[arm]
        resumed = what.get('resumed')
        row = [arm, number(what['params'], 3), number(what['macs'], 4),
               str(what['seeds']) + (f' ({resumed} resumed)' if resumed
                                     else '')]
        for metric in metrics:
            entry = what['metrics'][metric.key]
            spread = entry['std']
            row.append(number(entry['mean'])
                       + ('' if spread is None else f' ± {number(spread)}'))
            row += reading(entry.get('difference'))
        if movement:
            row.append(what.get('moved') or '')
        rows.append(row)
    return _markdown(head, rows)


def overall_table(known: Mapping[str, Comparison], results: Mapping[str, dict],
                  folder: Path) -> str:
    """The first metric of all comparisons, one row an arm and its baseline.

    Args:
        known (Mapping[str, Comparison]): All comparisons.
        results (Mapping[str, dict]): As
            :func:`mmdense.analysis.evidence.read_results`.
        folder (Path): Of the page, to which the links are relative.
    """
    head = ['Comparison', 'Network', 'Baseline', 'Figure', "Baseline's",
            'Difference, 95 % interval', 'Seeds', 'Reading', "The paper's",
            'Rates and offsets']
    rows = []
    for name, comparison in known.items():
        metric = comparison.metrics[0]
        link = f'[{name}]({os.path.relpath(page_of(comparison), folder)})'
        for arm in comparison.arms:
            if arm.name == comparison.baseline:
                continue
            row = [link, arm.name, comparison.baseline,
                   f'{metric.name} ({metric.unit})']
            what = results.get(name, {}).get(arm.name)
            if what is None:
                base = results.get(name, {}).get(comparison.baseline)
                level = (number(base['metrics'][metric.key]['mean'])
                         if base else NOT_RUN)
                rows.append([*row, level, NOT_RUN])
                continue
            found = what['metrics'][metric.key]['difference']
            apart, verdict = reading(found)
            rows.append([*row, number(found['baseline']), apart,
                         str(found['pairs']), verdict,
                         what.get('paper') or 'none',
                         what.get('moved') or ''])
    return _markdown(head, rows)


def arms_table(comparisons: Iterable[Comparison], folder: Path) -> str:
    """The config and the options of every arm.

    Args:
        comparisons (Iterable[Comparison]): Those of the page.
        folder (Path): Of the page, to which the links are relative.
    """
    rows = []
    for comparison in comparisons:
        for arm in comparison.arms:
            mark = ' (baseline)' if arm.name == comparison.baseline else ''
            link = os.path.relpath(arm.config, folder)
            rows.append([
                comparison.name, arm.name + mark,
                f'[{arm.config.stem}]({link})',
                ' '.join(f'`{option}`' for option in arm.options)
            ])
    return _markdown(['Comparison', 'Arm', 'Config', 'Options'], rows)


def page_of(comparison: Comparison) -> Path:
    """The folder with the arms and the page of a comparison."""
    return comparison.arms[0].config.parent


def reading(entry: dict | None) -> list[str]:
    """Two cells: a difference with its interval, and its verdict."""
    if entry is None:
        return ['', 'baseline']
    if entry['mean'] is None:
        return ['-', '-']
    interval = ('' if entry['low'] is None else
                f' [{entry["low"]:+.2f}, {entry["high"]:+.2f}]')
    return [f'{entry["mean"]:+.2f}{interval}', entry['verdict']]


def number(value: float | None, digits: int = 2) -> str:
    """A figure with that many digits after the point, '-' for None."""
    return '-' if value is None else f'{value:.{digits}f}'


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    """Short rows are filled up with empty cells."""
    filled = [head, ['---'] * len(head),
              *(row + [''] * (len(head) - len(row)) for row in rows)]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in filled)
