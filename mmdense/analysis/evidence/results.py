"""The figures of finished comparisons: ``results.json``, for all tables.

It holds, by comparison and arm, what the tables print: ``params`` (10^6),
``macs`` (10^9), ``seeds`` (how many), ``paper`` (the difference that the
paper claims, as text; None if it claims none), ``moved`` (where it has rates
or offsets: how far they came, as text) and ``metrics`` by key with ``mean``,
``std`` and, except for the baseline, ``difference``.
"""
import json
from collections.abc import Mapping
from pathlib import Path

from mmdense.analysis.evidence.definitions import DEFINITIONS, Comparison

__all__ = ['RESULTS', 'read_results', 'record', 'summary']

RESULTS = DEFINITIONS.with_name('results.json')
# A dictionary that fits into a line of this length stands in one.
WIDTH = 180


def summary(report: dict) -> dict[str, dict]:
    """What the tables print of a report, by arm.

    Args:
        report (dict): As :func:`mmdense.analysis.evidence.collect` gives it.
    """
    arms = {}
    for name, arm in report['arms'].items():
        figures = arm['metrics'].values()
        arms[name] = dict(
            params=arm['params'] and arm['params'] / 1e6,
            macs=arm['macs'] and arm['macs'] / 1e9,
            seeds=len({seed for one in figures for seed in one['values']}),
            resumed=len(arm['resumed']),
            moved=_told(arm.get('moved') or {}),
            metrics={
                key: {part: one[part] for part in one if part != 'values'}
                for key, one in arm['metrics'].items()
            })
    return arms


def _told(moved: dict[str, float]) -> str | None:
    """The movement of rates and offsets, in words."""
    parts = []
    if 'rates/mean' in moved:
        parts.append(
            f'rates {moved["rates/mean"]:.2f}; deviation over channels '
            f'{moved["rates/channels"]:.2f}, over samples '
            f'{moved["rates/samples"]:.3f}; {moved["rates/constant"]:.0%} of '
            'layers the same for all samples')
    if 'offsets/moved' in moved:
        parts.append(f'offsets moved {moved["offsets/moved"]:.2f} px')
    return '; '.join(parts) or None


def read_results(known: Mapping[str, Comparison],
                 path: Path = RESULTS) -> dict[str, dict]:
    """The recorded figures, by comparison and arm.

    Args:
        known (Mapping[str, Comparison]): All comparisons.
        path (Path): The file.

    Raises:
        ValueError: If a comparison, an arm or a metric is none of ``known``.
    """
    results = json.loads(path.read_text())
    for name, arms in results.items():
        _check(path, 'comparison', [name], known)
        comparison = known[name]
        _check(path, f'{name}: arm', arms, [a.name for a in comparison.arms])
        for arm, what in arms.items():
            _check(path, f'{name}, {arm}: metric', what['metrics'],
                   [metric.key for metric in comparison.metrics])
    return results


def _check(path, what, names, there) -> None:
    for name in names:
        if name not in there:
            raise ValueError(f'{path.name}: {what} must be one of '
                             f'{", ".join(there)}, got {name!r}')


def record(report: dict, path: Path = RESULTS) -> None:
    """Write the figures of a report into the file, rounded as printed.

    Arms without a finished run stay as they are, and so does what the paper
    claims, and the movement of an arm whose runs have logged none.

    Args:
        report (dict): As :func:`mmdense.analysis.evidence.collect` gives it.
        path (Path): The file.

    Raises:
        ValueError: If an arm is recorded with more seeds, or with more of
            them beside the baseline. Nothing is written.
    """
    results = json.loads(path.read_text())
    arms = results.setdefault(report['name'], {})
    for name, arm in summary(report).items():
        if not arm['seeds']:
            continue
        before, now = _compared(arms.get(name)), _compared(arm)
        if now < before:
            raise ValueError(
                f'record: seeds of {report["name"]}, {name} must be at least '
                f'the {before} of {path.name}, got {now}')
        for key, digits in dict(params=3, macs=4).items():
            arm[key] = arm[key] and round(arm[key], digits)
        arm['moved'] = arm['moved'] or arms.get(name, {}).get('moved')
        for key in ('resumed', 'moved'):
            if not arm[key]:
                del arm[key]
        arm['paper'] = arms.get(name, {}).get('paper')
        arm['metrics'] = _rounded(arm.pop('metrics'))
        arms[name] = arm
    path.write_text(_laid_out(results) + '\n')


def _compared(arm: dict | None) -> int:
    """How many seeds an arm was compared on with its baseline."""
    if arm is None:
        return 0
    apart = [one['difference']['pairs'] for one in arm['metrics'].values()
             if 'difference' in one]
    # A figure that was not kept has no pairs.
    return max(apart, default=arm['seeds'])


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 2) if isinstance(value, float) else value


def _laid_out(value, indent: int = 0) -> str:
    """JSON, as many lines as its larger dictionaries need."""
    line = json.dumps(value)
    if not isinstance(value, dict) or indent + len(line) <= WIDTH:
        return line
    inner = ',\n'.join(
        ' ' * (indent + 2) + f'{json.dumps(key)}: ' + _laid_out(
            part, indent + 2) for key, part in value.items())
    return f'{{\n{inner}\n{" " * indent}}}'
