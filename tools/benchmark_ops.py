"""Measure the operators beside the calls they replace, and check the limits.

    python tools/benchmark_ops.py                       every row, 2 threads
    python tools/benchmark_ops.py --only forward backward --repeats 31
    python tools/benchmark_ops.py --device cuda --out benchmark

    python tools/benchmark_ops.py --threads 1 --clock cpu      busy machine

Both calls of a ratio are timed in turn in the same run, so the ratio is
reliable even if the machine does other work now and then; the milliseconds may
not be. With fewer free cores than threads even the ratio is not: then threads
wait for each other, and many small parallel loops look slow. Use CPU time on
one thread there.
"""
import argparse
import json
import os
import platform
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from mmdense.analysis.benchmarks.ops import (
    BATCH,
    ROWS,
    Row,
    Setting,
    Size,
)
from mmdense.ops import available_backends

CLOCKS = dict(wall=time.perf_counter, cpu=time.process_time)


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
        help='wall time, or CPU time of this process (default: wall)')
    parser.add_argument(
        '--out', type=Path, metavar='DIR',
        help='write benchmark_ops.json and benchmark_ops.png here')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: PyTorch sees no GPU here')
    if args.device == 'cuda' and args.clock == 'cpu':
        parser.error('--clock cpu does not see what a GPU does')
    if args.out and args.out.exists() and not args.out.is_dir():
        parser.error(f'--out must be a folder, got the file {args.out}')
    return args


def deformables_of(device: str) -> dict:
    """The deformable convolutions that can be imported here, by maker."""
    found = {}
    try:
        from torchvision.ops import deform_conv2d as torchvision_conv
        found['torchvision'] = lambda x, offset, weight: torchvision_conv(
            x, offset, weight, padding=1)
    except ImportError as error:
        print(f'no torchvision to compare with: {error}', file=sys.stderr)
    if device == 'cuda':
        return found
    try:
        from mmcv.ops import deform_conv2d as mmcv_conv
        found['mmcv'] = lambda x, offset, weight: mmcv_conv(
            x, offset, weight, 1, 1, 1, 1, x.shape[1])
    except ImportError as error:
        print(f'no mmcv operators to compare with: {error}', file=sys.stderr)
    return found


def environment(args: argparse.Namespace) -> dict:
    if args.device == 'cuda':
        device = torch.cuda.get_device_name()
    else:
        device = f'{torch.backends.cpu.get_cpu_capability()}, ' \
                 f'{args.threads} of {os.cpu_count()} cores'
    return dict(
        device=device,
        machine=platform.machine(),
        load=os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        torch=torch.__version__,
        backends=available_backends(),
        clock=args.clock,
        batch=args.batch,
        repeats=args.repeats)


HEADER = (f'{"size":12} {"dtype":9} {"a":>10} {"b":>10} {"":2}  {"a / b":>6} '
          f'{"quartiles":>15}  {"bar":>8} {"goal":>8}')


def limit(value: float | None, at_most: bool) -> str:
    return '' if value is None else f'{"<=" if at_most else ">="} {value:g}'


def line(row: Row) -> str:
    low, high = row.quartiles
    return (f'{row.size:12} {row.dtype:9} {row.a:10.3f} {row.b:10.3f} '
            f'{row.unit:2}  {row.ratio:6.2f} {low:7.2f}-{high:<7.2f}  '
            f'{limit(row.bar, row.at_most):>8} '
            f'{limit(row.goal, row.at_most):>8}  {row.verdict}')


def plot(rows: list[Row], title: str, path: Path) -> None:
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


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    args.batch = args.batch or BATCH[args.device]
    torch.set_num_threads(args.threads)
    deformables = {}
    if 'deformable' in args.only:
        deformables = deformables_of(args.device)
    setting = Setting(
        torch.device(args.device), args.batch, args.repeats,
        args.sizes and tuple(args.sizes), deformables, CLOCKS[args.clock])
    facts = environment(args)
    print(', '.join(f'{key} {value}' for key, value in facts.items()))
    cores = os.cpu_count() or 1
    if args.device == 'cpu' and args.clock == 'wall' and (
            facts['load'] or 0) + args.threads > cores + 0.5:
        print(f'beware: the load is {facts["load"]:.1f} on {cores} cores '
              f'before {args.threads} more threads; see --help')
    rows = []
    for only in args.only:
        try:
            for row in ROWS[only](setting):
                if not rows or rows[-1].figure != row.figure:
                    print(f'\n{row.figure}\n{HEADER}')
                rows.append(row)
                print(line(row), flush=True)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            # A host that is not installed, a system that is no Linux, a map
            # a peer refuses or the memory cannot hold.
            print(f'\n{only}: not measured: {error}', file=sys.stderr)
    missed = [row for row in rows if row.verdict == 'miss']
    print(f'\n{len(rows)} rows, {len(missed)} over their bar')
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / 'benchmark_ops.json'
        path.write_text(
            json.dumps(
                dict(
                    environment=facts,
                    rows=[
                        asdict(row) | dict(verdict=row.verdict)
                        for row in rows
                    ]),
                indent=1))
        plot(rows, f'{facts["device"]}, torch {facts["torch"]}, '
             f'batch {args.batch}', path.with_suffix('.png'))
        print(f'wrote {path} and {path.with_suffix(".png")}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
