"""The tables in the pages, written from ``results.json``.

A page has a table wherever two comments stand around it, of which the first
names it::

    <!-- evidence: arms -->             the arms in the page's folder
    <!-- evidence: results NAME -->     the figures of a comparison
    <!-- evidence: all -->              the first figure of all comparisons
    ...
    <!-- end of evidence -->
"""
import re
from collections.abc import Mapping
from pathlib import Path

from mmdense.analysis.evidence.definitions import DEFINITIONS, Comparison, pick
from mmdense.analysis.evidence.tables import (
    arms_table,
    overall_table,
    page_of,
    result_table,
)

__all__ = ['evidence_pages', 'filled', 'write_pages']

BLOCK = re.compile(
    r'^<!-- evidence: (.+?) -->\n.*?^<!-- end of evidence -->$', re.M | re.S)


def evidence_pages(configs: Path) -> list[Path]:
    """The overall page, and one page for each data set.

    Args:
        configs (Path): The ``configs`` folder.
    """
    return [DEFINITIONS.with_name('README.md'),
            *sorted(configs.glob('*/evidence/*/README.md'))]


def filled(page: Path, known: Mapping[str, Comparison],
           results: Mapping[str, dict]) -> str:
    """The text of a page, with its tables as they have to be.

    Args:
        page (Path): The file; it is read only.
        known (Mapping[str, Comparison]): All comparisons.
        results (Mapping[str, dict]): As
            :func:`mmdense.analysis.evidence.read_results`.

    Raises:
        ValueError: If a comment names no table.
    """
    folder = page.parent

    def block(match: re.Match) -> str:
        kind, _, name = match[1].partition(' ')
        if match[1] == 'all':
            text = overall_table(known, results, folder)
        elif match[1] == 'arms':
            text = arms_table(
                [c for c in known.values() if page_of(c) == folder], folder)
        elif kind == 'results':
            comparison = pick(known, name)
            text = result_table(
                comparison.metrics, [arm.name for arm in comparison.arms],
                results.get(name, {}))
        else:
            raise ValueError(f"{page}: evidence must be 'all', 'arms' or "
                             f"'results NAME', got {match[1]!r}")
        return (f'<!-- evidence: {match[1]} -->\n\n{text}\n\n'
                '<!-- end of evidence -->')

    return BLOCK.sub(block, page.read_text())


def write_pages(configs: Path, known: Mapping[str, Comparison],
                results: Mapping[str, dict]) -> list[Path]:
    """Fill the tables of all pages; the pages that changed."""
    changed = []
    for page in evidence_pages(configs):
        text = filled(page, known, results)
        if text != page.read_text():
            page.write_text(text)
            changed.append(page)
    return changed
