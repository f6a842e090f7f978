"""Draw the curves of a training: losses, learning rate, metrics.

    python tools/curves.py work_dirs/quickstart --out curves.png
    python tools/curves.py work_dirs/NAME/TIME/vis_data/scalars.json \\
        --out curves.png

All runs of a work folder, such as resumed ones, form one curve.
"""
import argparse
import sys
from pathlib import Path

from mmdense.analysis import training_curves
from mmdense.command_line import one_line_errors


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'log', help='work folder of a training, or a scalars.json in it')
    parser.add_argument(
        '--out', type=Path, required=True, help='picture to write')
    return parser.parse_args(argv)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    curves = training_curves.read(training_curves.scalar_files(args.log))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    training_curves.plot(curves, args.out)
    for line in curves.cut:
        print(f'left out: {line} is no whole record', file=sys.stderr)
    names = ', '.join({**curves.training, **curves.metrics})
    print(f'wrote {args.out}: {names}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
