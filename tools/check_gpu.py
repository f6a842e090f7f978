"""Test, check and time the operators on a GPU, in one call.

    python tools/check_gpu.py --out gpu
    python tools/check_gpu.py --only tests: --budget 240
    python tools/check_gpu.py --rehearse              on a CPU, small sizes

Three parts: every Triton test of tests/ops on the device; values and
gradients of both operators against the reference, in bfloat16, float16,
float32 and TF32; and the speed table, over cuDNN's convolution, torchvision's
and mmcv's deformable convolutions, a copy and grid_sample. torch, Triton and
pytest are enough, no OpenMMLab: `PYTHONPATH=. python3 tools/check_gpu.py` in a
checkout.

Each item runs in a process that may crash or hang without harm to the others.
Files are written after every item. What the budget has no time for is left
out, and named.

The exit status is 0 if everything ran and held, 1 if an item failed, missed
its bar or was left out, and 2 if nothing can run here.
"""
import argparse
import sys
from pathlib import Path

from mmdense.analysis.benchmarks.check_gpu import plan, report
from mmdense.command_line import one_line_errors

LEAST = 30


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--out', type=Path, metavar='DIR', default=Path('work_dirs/check_gpu'),
        help='folder for check_gpu.json and check_gpu.md (default: '
        '%(default)s)')
    parser.add_argument(
        '--budget', type=float, metavar='SECONDS', default=480,
        help='stop after this time, 480 by default; what is left then is '
        'named in the files')
    parser.add_argument(
        '--only', nargs='+', metavar='TEXT',
        help='run only items whose name holds one of these texts, such as '
        '"tests:", "accuracy:", "speed:", "bfloat16" or "64x64x48"; names are '
        'printed as items end (default: all)')
    parser.add_argument(
        '--rehearse', action='store_true',
        help="try the script without a GPU: small sizes under Triton's "
        'interpreter, whose times mean nothing')
    args = parser.parse_args(argv)
    if not args.budget >= LEAST:
        parser.error(f'--budget must be at least {LEAST} seconds, got '
                     f'{args.budget:g}')
    if args.out.exists() and not args.out.is_dir():
        parser.error(f'--out must be a folder, got the file {args.out}')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)

    def note(found: plan.Report, result: plan.Result | None) -> None:
        if result is None:
            print(', '.join(f'{k} {v}' for k, v in found.machine.items()))
        else:
            print(report.line(result), flush=True)
        report.write(found, args.out)

    found = plan.run(args.budget, args.only, args.rehearse, note)
    paths = report.write(found, args.out)
    print(f'\n{report.summary(found)}\nwrote {paths[0]} and {paths[1]}')
    return 0 if found.held else 1


if __name__ == '__main__':
    sys.exit(main())
