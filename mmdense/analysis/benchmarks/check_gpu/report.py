"""The files of a check: JSON for programs, Markdown for people."""
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from mmdense.analysis.benchmarks.check_gpu.plan import Report, Result


def summary(report: Report) -> str:
    """Return how many items of each part ended how, in one line."""
    parts = []
    for part in ('tests', 'accuracy', 'speed'):
        counts = Counter(result.status for result in report.named(part))
        said = ', '.join(f'{n} {status}' for status, n in counts.items())
        parts.append(f'{part}: {said or "none"}')
    return f'{"; ".join(parts)}; {report.elapsed:.0f} s of {report.budget:g} s'


def line(result: Result) -> str:
    """Return one line for a terminal."""
    what = ''
    if result.part == 'accuracy' and 'errors' in result.details:
        what = (f'largest error {max(result.details["errors"].values()):.1e} '
                f'(at most {result.details["tolerance"]:.0e})')
    elif 'rows' in result.details:
        what = ', '.join(f'{row["ratio"]:.2f}'
                         for row in result.details['rows'])
    elif 'reason' in result.details:
        what = _last_line(result.details['reason'])
    return (f'{result.status:8} {result.seconds:6.1f} s  {result.part}: '
            f'{result.name}  {what}').rstrip()


def _last_line(text: str) -> str:
    # Of a traceback the last line says what happened.
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ''


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines)


def _speed(report: Report) -> str:
    rows = [row for result in report.named('speed')
            for row in result.details.get('rows', ())]
    sign = {True: '<=', False: '>='}
    return _table(
        ['a / b', 'map', 'dtype', 'a, ms', 'b, ms', 'ratio', 'quartiles',
         'bar', 'peak MB of a', 'of b', ''],
        [[
            row['figure'], row['size'], row['dtype'], f'{row["a"]:.3f}',
            f'{row["b"]:.3f}', f'{row["ratio"]:.2f}',
            '{:.2f} to {:.2f}'.format(*row['quartiles']), '' if row['bar'] is
            None else f'{sign[row["at_most"]]} {row["bar"]:g}',
            *(f'{peak:.1f}' for peak in row['peaks']), row['verdict']
        ] for row in rows])


def _accuracy(report: Report) -> str:
    return _table(
        ['operator, map, dtype', 'largest error of each tensor', 'at most',
         'same bits twice', ''],
        [[
            result.name, ', '.join(
                f'{name} {error:.1e}'
                for name, error in result.details['errors'].items()),
            f'{result.details["tolerance"]:.0e}',
            'yes' if result.details['repeats'] else 'no', result.status
        ] for result in report.named('accuracy')
         if 'errors' in result.details])


def _reasons(report: Report) -> str:
    return _table(
        ['item', 'ended', 'reason'],
        [[f'{result.part}: {result.name}', result.status,
          _last_line(result.details['reason']).replace('|', '\\|')]
         for result in report.results if 'reason' in result.details])


def markdown(report: Report) -> str:
    """Return the whole page."""
    facts = ', '.join(f'{key} {value}'
                      for key, value in report.machine.items()
                      if key != 'device')
    rehearsal = ('\n\nA rehearsal: the times mean nothing.'
                 if report.rehearsal else '')
    return f"""# The operators on {report.machine.get('device', 'no device')}

{facts}. {summary(report)}.{rehearsal}

## Speed

Time of a over time of b, medians of alternated calls by CUDA events; peak
memory beyond the operands, by PyTorch's allocator.

{_speed(report)}

## Accuracy

The largest difference from the reference, computed in float64, as a share of
the largest value of the same tensor.

{_accuracy(report)}

## Failed, skipped and left out

{_reasons(report)}
"""


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write check_gpu.json and check_gpu.md.

    Args:
        report (Report): What came out, or came out so far.
        folder (Path): Is made if it is missing.

    Returns:
        tuple[Path, Path]: Both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, page = folder / 'check_gpu.json', folder / 'check_gpu.md'
    path.write_text(
        json.dumps(
            asdict(report) | dict(held=report.held, summary=summary(report)),
            indent=1))
    page.write_text(markdown(report))
    return path, page
