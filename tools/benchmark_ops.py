"""Measure the operators beside the calls they replace, and check the limits.

    python tools/benchmark_ops.py                       every row, 2 threads
    python tools/benchmark_ops.py --only forward backward --repeats 31
    python tools/benchmark_ops.py --device cuda --out benchmark

    python tools/benchmark_ops.py --threads 1 --clock cpu      busy machine

Both calls of a ratio are timed in turn in the same run, so the ratio is
reliable even if the machine does other work now and then; the milliseconds may
not be. With fewer free cores than threads even the ratio is not: then threads
wait for each other, and many small parallel loops look slow. Use CPU time on
one thread there. A GPU is timed by its events.

"peak MB" is the most that PyTorch's allocator held during one call of a and of
b, beyond what was there before. A peer that is not installed is left out with
a line that says so: torchvision, mmcv, dcls (`pip install dcls`).
"""
import argparse
import re
import sys
from pathlib import Path

import torch

from mmdense.analysis.benchmarks.measuring import CLOCKS, check_clock
from mmdense.analysis.benchmarks.ops import (
    ROWS,
    NotMeasured,
    environment,
    measure_rows,
    too_busy,
)
from mmdense.analysis.benchmarks.ops_report import HEADER, line, write
from mmdense.analysis.benchmarks.rows import BATCH, DTYPES, Setting, Size


def size_of(text: str) -> Size:
    if not re.fullmatch(r'[1-9]\d*(x[1-9]\d*){2}', text):
        raise argparse.ArgumentTypeError(
            f'must be CxHxW, such as 64x64x48, got {text!r}')
    return Size(*map(int, text.split('x')))


def positive(text: str) -> int:
    if not re.fullmatch(r'[1-9]\d*', text):
        raise argparse.ArgumentTypeError(
            f'must be a whole number of at least 1, got {text!r}')
    return int(text)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--only',
        nargs='+',
        choices=list(ROWS),
        metavar='ROW',
        default=list(ROWS),
        help=f'rows to measure: {", ".join(ROWS)} (default: all)')
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=size_of,
        metavar='CxHxW',
        help="maps to use instead of each row's own")
    parser.add_argument(
        '--batch', type=positive,
        help='samples a map (default: 8, on a GPU 32)')
    parser.add_argument(
        '--repeats', type=positive, default=15,
        help='samples of each call (default: 15)')
    parser.add_argument(
        '--threads', type=positive, default=2,
        help='threads of a CPU (default: 2)')
    parser.add_argument(
        '--device', choices=['cpu', 'cuda'], default='cpu',
        help='where to run (default: cpu)')
    parser.add_argument(
        '--clock', choices=list(CLOCKS), default='wall',
        help='of a CPU: wall time, or CPU time of this process (default: '
        'wall)')
    parser.add_argument(
        '--out', type=Path, metavar='DIR',
        help='write benchmark_ops.json and benchmark_ops.png here')
    args = parser.parse_args(argv)
    check_clock(parser, args)
    if args.out and args.out.exists() and not args.out.is_dir():
        parser.error(f'--out must be a folder, got the file {args.out}')
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    setting = Setting(
        torch.device(args.device), args.batch or BATCH[args.device],
        args.repeats, args.sizes and tuple(args.sizes), CLOCKS[args.clock],
        DTYPES[args.device])
    facts = environment(setting, args.clock)
    print(', '.join(f'{key} {value}' for key, value in facts.items()))
    warning = args.clock == 'wall' and too_busy(setting, facts['load'])
    if warning:
        print(warning)
    rows = []
    for row in measure_rows(setting, args.only):
        if isinstance(row, NotMeasured):
            print(f'\n{row.name}: not measured: {row.reason}',
                  file=sys.stderr)
            continue
        if not rows or rows[-1].figure != row.figure:
            print(f'\n{row.figure}\n{HEADER}')
        rows.append(row)
        print(line(row), flush=True)
    missed = [row for row in rows if row.verdict == 'miss']
    print(f'\n{len(rows)} rows, {len(missed)} over their bar')
    if args.out:
        print('wrote {} and {}'.format(*write(rows, facts, args.out)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
