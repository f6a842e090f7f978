"""Parameters and GFLOPs that papers print, compared with our counts."""
import json
from dataclasses import dataclass
from pathlib import Path

from mmdense.analysis.complexity import Complexity

__all__ = [
    'CONVENTIONS', 'FigureComparison', 'PAPER_FIGURES', 'compare',
    'paper_rows', 'prints_as'
]

PAPER_FIGURES = Path(__file__).with_name('paper_figures.json')

# How a paper arrived at its figures: (parameters, GFLOPs) from a Count.
CONVENTIONS = {
    'true': lambda c: (c.params / 1e6, c.macs / 1e9),
    'paper': lambda c: (c.params / 1e6, c.paper_macs / 2**30),
    'paper-layers': lambda c: (c.paper_params / 1e6, c.paper_macs / 2**30),
}


@dataclass
class FigureComparison:
    """One row of a paper's figures, compared with ours.

    ``params_match`` and ``gflops_match`` tell whether our value rounds to the
    printed digits. ``exact`` tells whether the parameters equal the target and
    the multiply-adds differ from it by at most 0.1 %. None if there is nothing
    to compare.
    """
    id: str
    config: str
    shape: list | None
    convention: str
    paper_params: str | None
    our_params: float
    params_match: bool | None
    paper_gflops: str | None
    our_gflops: float
    gflops_match: bool | None
    params: int
    macs: int
    exact: bool | None
    note: str


def prints_as(value: float, printed: str) -> bool:
    """Return whether ``value`` rounds to the digits of ``printed``."""
    digits = len(printed.partition('.')[2])
    return f'{value:.{digits}f}' == printed


def paper_rows(configs: Path, config: Path | None = None) -> list[dict]:
    """Return the papers' figures that have a config.

    A row of ``paper_figures.json`` has

    * ``id`` (unique) and ``config``, a path below ``configs/``;
    * ``shape``, the (H, W) counted at; without it what the config trains at;
    * ``convention``, one of ``CONVENTIONS``: how the paper counted;
    * ``part``, the module the paper counted alone, by its dotted name;
    * ``paper_params_M`` and ``paper_gflops`` as printed, strings because
      their digits decide what a match is;
    * ``computed_params`` and ``computed_macs``, our targets, exact integers;
    * ``note``: where the paper contradicts itself.

    All but the ``id``, ``config`` and ``convention`` may be left out.

    Args:
        configs (Path): The ``configs`` folder.
        config (Path, optional): Only rows of this file.

    Returns:
        list[dict]: Rows of ``paper_figures.json``, its ``config`` now a path.
    """
    rows = json.loads(PAPER_FIGURES.read_text())
    rows = [dict(row, config=configs / row['config']) for row in rows]
    if config is None:
        return rows
    return [row for row in rows if row['config'].resolve() == config.resolve()]


def compare(row: dict, result: Complexity) -> FigureComparison:
    """Compare one row of a paper with the counts of its config."""
    tally = result.modules[row['part']] if row.get('part') else result.total
    params, gflops = CONVENTIONS[row['convention']](tally)
    checks = []
    if row.get('computed_params') is not None:
        checks.append(tally.params == row['computed_params'])
    if row.get('computed_macs') is not None:
        error = abs(tally.macs - row['computed_macs'])
        checks.append(error <= 1e-3 * row['computed_macs'])
    printed_params = row.get('paper_params_M')
    printed_gflops = row.get('paper_gflops')
    return FigureComparison(
        id=row['id'],
        config=str(row['config']),
        shape=row.get('shape'),
        convention=row['convention'],
        paper_params=printed_params,
        our_params=params,
        params_match=printed_params and prints_as(params, printed_params),
        paper_gflops=printed_gflops,
        our_gflops=gflops,
        gflops_match=printed_gflops and prints_as(gflops, printed_gflops),
        params=tally.params,
        macs=tally.macs,
        exact=all(checks) if checks else None,
        note=row.get('note', ''))
