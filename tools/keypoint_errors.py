"""Compare the kinds of keypoint errors in COCO result files.

    python tools/keypoint_errors.py \\
        data/coco/annotations/person_keypoints_val2017.json \\
        without=plain.keypoints.json with=adc.keypoints.json --out errors

prints a table and writes errors.png, errors.json and errors.md into --out.
mmpose writes a result file when a test gets
``--cfg-options test_evaluator.outfile_prefix=PREFIX``.
"""
import argparse
import json
import sys
from pathlib import Path

from mmdense.analysis import keypoint_errors
from mmdense.command_line import one_line_errors


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Jitter, inversion, swap and missing keypoints.')
    parser.add_argument('annotations', help='ground truth, COCO keypoints')
    parser.add_argument(
        'results',
        nargs='+',
        metavar='[NAME=]FILE',
        help='result files; the default NAME is the name of the file')
    parser.add_argument(
        '--sigmas',
        nargs='+',
        type=float,
        help="spread of each part (default: COCO's 17)")
    parser.add_argument('--out', type=Path, help='folder to write to')
    return parser.parse_args(argv)


def named(results: list[str]) -> dict[str, str]:
    """Return the files by name.

    Raises:
        ValueError: If two results share a name.
    """
    pairs = [(name or path, path) for name, _, path in
             (text.rpartition('=') for text in results)]
    if len(dict(pairs)) < len(pairs):
        raise ValueError('results must have different names, got '
                         f'{[name for name, _ in pairs]}')
    return dict(pairs)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    errors = {
        name: keypoint_errors.analyse(args.annotations, path, args.sigmas)
        for name, path in named(args.results).items()
    }
    table = keypoint_errors.table(errors)
    print(table, end='')
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        keypoint_errors.plot(errors, args.out / 'errors.png')
        (args.out / 'errors.md').write_text(table)
        (args.out / 'errors.json').write_text(
            json.dumps(keypoint_errors.as_json(errors), indent=2))
    return 0


if __name__ == '__main__':
    sys.exit(main())
