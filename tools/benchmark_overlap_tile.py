"""Compare overlap-tile inference with the network on the same tiles.

    python tools/benchmark_overlap_tile.py CONFIG --size 1024 1024 --bar 1.3

Both are timed in turn in the same run, in CPU time of this process.
"""
import argparse
import statistics
import sys
import time

import torch

from mmdense import networks
from mmdense.analysis.benchmarks.measuring import compare
from mmdense.analysis.benchmarks.overlap_tile import tiled_and_bare
from mmdense.command_line import check_at_least_1, one_line_errors
from mmdense.networks.options import add_cfg_options


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config with an OverlapTileSegmentor')
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('H', 'W'), default=(1024, 1024),
        help='size of the image (default: 1024 1024)')
    parser.add_argument(
        '--tile', type=int, nargs=2, metavar=('H', 'W'),
        help="size of the tiles (default: the config's)")
    parser.add_argument(
        '--repeats', type=int, default=3, help='samples of each (default: 3)')
    parser.add_argument(
        '--threads', type=int, default=1,
        help='threads of the CPU (default: 1)')
    parser.add_argument(
        '--bar', type=float, metavar='X',
        help='exit with 1 if tiling takes more than X times the network')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    check_at_least_1(parser, args, 'repeats', 'threads')
    if min(args.size) < 1:
        parser.error(f'--size must be two positive sizes, got {args.size}')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    model = networks.build_model(
        networks.load_config(args.config, args.cfg_options))
    if args.tile:
        model.test_cfg['tile'] = tuple(args.tile)
    tiled, bare, number = tiled_and_bare(model, tuple(args.size))
    ratio = compare(
        tiled, bare, args.repeats, warm_up=1, clock=time.process_time)
    print(f'{args.size[0]}x{args.size[1]} in {number} tiles, {args.threads} '
          f'threads, torch {torch.__version__}')
    print(f'network  {statistics.median(ratio.b):8.2f} s')
    print(f'tiled    {statistics.median(ratio.a):8.2f} s, '
          f'{ratio.median:.3f} times')
    if args.bar is not None and ratio.median > args.bar:
        print(f'over the bar of {args.bar:g}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
