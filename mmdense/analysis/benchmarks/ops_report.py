"""Lines, JSON and a picture of the operators' benchmark."""
import json
from dataclasses import asdict
from pathlib import Path

from mmdense.analysis.benchmarks.rows import Row

HEADER = (f'{"size":12} {"dtype":9} {"a":>10} {"b":>10} {"":2}  {"a / b":>6} '
          f'{"quartiles":>15}  {"peak MB a":>9} {"b":>9}  {"bar":>8} '
          f'{"goal":>8}')


def _limit(value: float | None, at_most: bool) -> str:
    return '' if value is None else f'{"<=" if at_most else ">="} {value:g}'


def line(row: Row) -> str:
    """Return a row of the table under ``HEADER``."""
    low, high = row.quartiles
    peaks = ['' if row.peaks is None else f'{peak:.1f}'
             for peak in row.peaks or (0, 0)]
    return (f'{row.size:12} {row.dtype:9} {row.a:10.3f} {row.b:10.3f} '
            f'{row.unit:2}  {row.ratio:6.2f} {low:7.2f}-{high:<7.2f}  '
            f'{peaks[0]:>9} {peaks[1]:>9}  '
            f'{_limit(row.bar, row.at_most):>8} '
            f'{_limit(row.goal, row.at_most):>8}  {row.verdict}')


def as_json(row: Row) -> dict:
    """Return a row with ratio and verdict, as it is written into files."""
    return asdict(row) | dict(ratio=row.ratio, verdict=row.verdict)


def write(rows: list[Row], facts: dict, folder: Path) -> tuple[Path, Path]:
    """Write benchmark_ops.json and benchmark_ops.png.

    Args:
        rows (list[Row]): What was measured.
        facts (dict): Where, see :func:`.ops.environment`.
        folder (Path): Is made if it is missing.

    Returns:
        tuple[Path, Path]: Both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'benchmark_ops.json'
    path.write_text(
        json.dumps(
            dict(environment=facts, rows=[as_json(row) for row in rows]),
            indent=1))
    picture = path.with_suffix('.png')
    _plot(rows, f'{facts["device"]}, torch {facts["torch"]}, '
          f'batch {facts["batch"]}', picture)
    return path, picture


def _plot(rows: list[Row], title: str, path: Path) -> None:
    """Ratios with their quartiles, and the bars and goals."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        figsize=(10, 1.6 + 0.28 * len(rows)), layout='constrained')
    colours = dict(goal='tab:green', miss='tab:red')
    for place, row in enumerate(rows):
        low, high = row.quartiles
        axes.barh(
            place, row.ratio, color=colours.get(row.verdict, 'tab:blue'))
        axes.hlines(place, low, high, color='black')
        for value, mark in ((row.bar, '|'), (row.goal, 'd')):
            if value is not None:
                axes.plot(value, place, mark, color='black')
    axes.set_yticks(
        range(len(rows)),
        [f'{row.figure}, {row.size} {row.dtype}' for row in rows],
        fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.axvline(1, color='grey', linewidth=0.8)
    axes.set_xlabel('ratio of medians (no unit); line: quartiles, '
                    '|: bar, diamond: goal')
    axes.set_ylabel('figure, map (channels x height x width), dtype')
    axes.set_title(title, fontsize=9)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
