"""Measure the time of a training step: eager, bfloat16 and compiled.

    python tools/benchmark_steps.py CONFIG... --batch 2

A step is the host's ``train_step`` on noise with random labels: forward, loss,
backward and the config's optimizer. The ways are timed in turn in one run, in
CPU time of this process, so that the ratios are reliable on a busy machine.
"""
import argparse
import logging
import statistics
import sys
import time
from pathlib import Path

import torch

from mmdense import networks
from mmdense.analysis.benchmarks.measuring import compare, use_threads
from mmdense.analysis.benchmarks.steps import WAYS, training_step
from mmdense.command_line import one_line_errors
from mmdense.networks.options import add_cfg_options

# Where a config clips its gradients, mmengine records their norm, and that is
# compiled anew at every step until torch gives it up after eight.
WARM_UP = 12


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'configs', nargs='+', metavar='CONFIG',
        help='config of mmdense or of a host; each is a row of the table')
    parser.add_argument(
        '--ways', nargs='+', choices=WAYS[1:], default=WAYS[1:],
        help='ways to compare with eager (default: all)')
    parser.add_argument('--batch', type=int, default=2,
                        help='images in a batch (default: 2)')
    parser.add_argument(
        '--repeats', type=int, default=15,
        help='samples of each (default: 15)')
    parser.add_argument(
        '--threads', type=int, default=1,
        help='threads of the CPU (default: 1)')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    for name in ('batch', 'repeats', 'threads'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got '
                         f'{getattr(args, name)}')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    use_threads(args.threads)
    # mmengine logs the learning rate of every parameter.
    logging.disable(logging.INFO)
    print(f'batch {args.batch}, {args.threads} threads, CPU time, torch '
          f'{torch.__version__}')
    print('| config | eager, ms | ' +
          ' | '.join(f'{way} / eager' for way in args.ways) + ' |')
    print('| --- |' + ' --- |' * (len(args.ways) + 1))
    for name in args.configs:
        config = networks.load_config(name, args.cfg_options)
        eager = training_step(config, args.batch)
        ratios = [
            compare(
                training_step(config, args.batch, way),
                eager,
                repeats=args.repeats,
                warm_up=WARM_UP,
                clock=time.process_time) for way in args.ways
        ]
        milliseconds = statistics.median(ratios[0].b) * 1e3
        print(f'| {Path(name).stem} | {milliseconds:.0f} | ' +
              ' | '.join(f'{ratio.median:.2f}' for ratio in ratios) + ' |',
              flush=True)
        torch.compiler.reset()
    return 0


if __name__ == '__main__':
    sys.exit(main())
