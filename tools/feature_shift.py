"""Show what the feature shifting modules of a network have learned.

    python tools/feature_shift.py CONFIG CHECKPOINT --out shift
    python tools/feature_shift.py CONFIG CHECKPOINT --out shift \\
        --module backbone.shift1_3 --people 64 --channel 5 --point 20 12

writes offsets.png (Figure 5), contributions.png (Figure 6), related.png (the
offsets each keypoint depends on), field.png (Figure 7, of the first person;
without --channel the non-local map that varies most, without --point its
largest value) and shift.json. The persons are those of the config's test data
set.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np

from mmdense.analysis import feature_shift_plots
from mmdense.analysis.feature_shift import measure_config
from mmdense.command_line import one_line_errors
from mmdense.networks import add_cfg_options, load_config


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Offsets, keypoint scores and windows of shift modules.')
    parser.add_argument('config', help='config of mmpose')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder to write to')
    parser.add_argument(
        '--module',
        help='dotted name (default: the last module of the first stage, just '
        'before the first early predictor)')
    parser.add_argument('--predictor',
                        help='name of the predictor whose keypoints are '
                        'scored (default: the first)')
    parser.add_argument('--people', type=int, default=16,
                        help='number of persons to average over (default: 16)')
    parser.add_argument('--channel', type=int,
                        help='channel of the non-local map (default: the one '
                        'that varies most)')
    parser.add_argument('--point', type=int, nargs=2, action='append',
                        metavar=('ROW', 'COLUMN'),
                        help='point of the non-local map; may be repeated '
                        '(default: where it is largest)')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.people < 1:
        parser.error(f'--people must be at least 1, got {args.people}')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    learned = measure_config(config, args.checkpoint, args.people, args.module,
                             args.predictor, args.channel, args.point)
    args.out.mkdir(parents=True, exist_ok=True)
    feature_shift_plots.write(learned, args.out)
    (args.out / 'shift.json').write_text(json.dumps(learned.as_json()))
    for name, offsets in learned.offsets.items():
        length = np.hypot(*offsets.T)
        print(f'{name}: {len(length)} offsets, mean length '
              f'{length.mean():.2f}, largest {length.max():.2f} pixels')
    for name, counts in learned.contributions.items():
        named = ', '.join(f'{keypoint} {number}' for keypoint, number in zip(
            learned.keypoints, counts, strict=True))
        print(f'{learned.module} {name}: channels by keypoint: {named}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
