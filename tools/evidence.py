"""A method against its baseline on small real data, seed by seed.

    python tools/evidence.py --list
    python tools/evidence.py NAME                   trains what is not finished
    python tools/evidence.py NAME --seeds 0 1       of these seeds
    python tools/evidence.py NAME --report          tables of what is there
    python tools/evidence.py NAME --report --record     kept for the pages
    python tools/evidence.py --pages                tables into the pages

Run it where `data/` lies. Stopped, it goes on where it was: finished runs are
kept, others resumed. `<work-dir>/NAME.md`, `.json` and `.png` say how far the
arms lie apart, and whether the seeds show it. `--record` writes these figures
into `mmdense/analysis/evidence/results.json` and from there into the pages.
"""
import argparse
import sys
from pathlib import Path

from mmdense.analysis import evidence
from mmdense.command_line import one_line_errors

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train and compare the arms of a comparison.')
    parser.add_argument('name', nargs='?', help='a comparison (see --list)')
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED',
        help='random seeds; each is one training of every arm (default: '
        '0 1 2)')
    parser.add_argument(
        '--report', action='store_true', help='read only, train nothing')
    parser.add_argument(
        '--record', action='store_true',
        help='keep the figures in results.json, and write the pages')
    parser.add_argument(
        '--list', action='store_true', help='the comparisons there are')
    parser.add_argument(
        '--pages', action='store_true',
        help='write the tables of results.json into the pages')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/evidence'),
        help='folder for checkpoints and logs; a training that is finished '
        'there is not repeated (default: %(default)s)')
    args = parser.parse_args(argv)
    if [args.name is not None, args.list, args.pages].count(True) != 1:
        parser.error('one of NAME, --list and --pages must be given')
    if args.record and args.name is None:
        parser.error('--record must have a NAME')
    return args


def print_list(known: dict[str, evidence.Comparison]) -> None:
    for name, comparison in known.items():
        others = [a.name for a in comparison.arms
                  if a.name != comparison.baseline]
        print(f'{name} ({comparison.host}): {comparison.baseline} against '
              f'{", ".join(others)}\n    {comparison.data}')


def print_pages(known: dict[str, evidence.Comparison]) -> None:
    results = evidence.read_results(known)
    for page in evidence.write_pages(CONFIGS, known, results):
        print(f'{page}: tables written')


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    known = evidence.comparisons(CONFIGS)
    if args.list:
        print_list(known)
        return 0
    if args.pages:
        print_pages(known)
        return 0
    comparison = evidence.pick(known, args.name)
    failed = [] if args.report else evidence.run(
        comparison, args.seeds, args.work_dir)
    report = evidence.collect(comparison, args.seeds, args.work_dir)
    path = evidence.write(report, args.work_dir)
    print(path.read_text())
    print(f'{path}, and .json and .png beside it')
    if args.record:
        evidence.record(report)
        print_pages(known)
    if failed:
        print(f'failed: {"; ".join(failed)}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
