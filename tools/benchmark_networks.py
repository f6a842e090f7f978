"""Compare the inference speed of the networks of two configs.

    python tools/benchmark_networks.py CONFIG_A CONFIG_B --shape 512 512
    python tools/benchmark_networks.py CONFIG_A mmseg::pspnet/CONFIG_B.py
    python tools/benchmark_networks.py CONFIG_A CONFIG_B --bar 0.9

The two are timed in turn in the same run, so that the ratio is reliable on a
busy machine; the milliseconds may not be. Memory is the peak of one forward
pass beyond weights and images, each in a fresh process.
"""
import argparse
import os
import statistics
import sys
from pathlib import Path

import torch

from mmdense import networks
from mmdense.analysis.benchmarks import networks as network_benchmark
from mmdense.analysis.benchmarks.measuring import CLOCKS, compare
from mmdense.command_line import one_line_errors
from mmdense.networks.options import add_cfg_options


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        parents=[network_benchmark.options()],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('a', metavar='CONFIG_A', help='first config')
    parser.add_argument('b', metavar='CONFIG_B', help='config to compare with')
    parser.add_argument(
        '--bar', type=float, metavar='X',
        help='exit with 1 if A is slower than X times the speed of B')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    network_benchmark.check_options(parser, args)
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    names = (args.a, args.b)
    configs = [
        networks.load_config(name, args.cfg_options) for name in names
    ]
    shape = tuple(args.shape or networks.input_shape(configs[0]))
    calls = [
        network_benchmark.inference(config, shape, args.batch,
                                    args.device) for config in configs
    ]
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else float('nan')
    print(f'{args.batch} x {shape[0]}x{shape[1]} on {args.device}, '
          f'{args.threads} threads, {args.clock} time, load {load:.1f}, '
          f'torch {torch.__version__}')
    ratio = compare(
        *calls,
        repeats=args.repeats,
        synchronize=torch.cuda.synchronize
        if args.device == 'cuda' else lambda: None,
        clock=CLOCKS[args.clock])
    del calls
    memory = [None, None]
    if not args.no_memory:
        memory = [
            network_benchmark.inference_bytes_in_fresh_process(
                str(name), shape, args.batch, args.device, args.threads,
                'eager', args.cfg_options)
            for name in names
        ]
    for letter, name, samples, peak in zip(
            'AB', names, (ratio.a, ratio.b), memory, strict=True):
        print(f'{letter} {statistics.median(samples) * 1e3:10.1f} ms' +
              ('' if peak is None else f' {peak / 1e6:10.1f} MB') +
              f'   {Path(name).name}')
    speed = 1 / ratio.median
    low, high = sorted(1 / quartile for quartile in ratio.quartiles)
    print(f'A has {speed:.2f} times the speed of B (quartiles {low:.2f} to '
          f'{high:.2f})' +
          ('' if args.no_memory else
           f' and {memory[0] / memory[1]:.2f} times its peak memory'))
    if args.bar is not None and speed < args.bar:
        print(f'under the bar of {args.bar:g}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
