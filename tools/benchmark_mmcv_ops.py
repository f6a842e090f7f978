"""Deformable convolutions by the stand-in operators, beside compiled mmcv's.

    python tools/benchmark_mmcv_ops.py
    python tools/benchmark_mmcv_ops.py --sizes 2x64x64x48 --repeats 31

Forward and backward on one CPU thread, both modules in turn in one process,
medians of CPU time. Needs a compiled mmcv; the stand-in is read from
requirements/mmcv_ops, so it need not be installed.
"""
import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch

SOURCE = Path(__file__).resolve().parents[1] / 'requirements' / 'mmcv_ops'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', nargs='+', metavar='NxCxHxW',
        default=['2x64x32x32', '2x256x16x16'],
        help='inputs (default: %(default)s)')
    parser.add_argument(
        '--repeats', type=int, default=7,
        help='samples of each module (default: 7)')
    return parser.parse_args(argv)


def step_of(name: str, size: tuple[int, ...], version: int):
    """A forward and backward of a 3 x 3 convolution as wide as its input."""
    n, channels, height, width = size
    generator = torch.Generator().manual_seed(0)
    shapes = [(n, 18, height, width), (n, 9, height, width),
              (channels, channels, 3, 3)]
    x, offset, mask, weight = (
        torch.randn(shape, generator=generator, requires_grad=True)
        for shape in (size, *shapes))
    function = getattr(importlib.import_module('mmcv.ops'), name)
    inputs = [x, offset, mask, weight] if version == 2 else [x, offset, weight]
    rest = [None] * (version - 1) + [1, 1]

    def step() -> None:
        output = function(*inputs, *rest)
        torch.autograd.grad(output.sum(), inputs)

    return step


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    sys.path.insert(0, str(SOURCE))
    compiled = importlib.import_module('mmcv._ext')
    if hasattr(compiled, 'STAND_IN'):
        raise SystemExit('benchmark_mmcv_ops: mmcv must be the compiled one, '
                         f'got {compiled.STAND_IN}')
    stand_in = SimpleNamespace(
        **importlib.import_module('mmcv_ops_torchvision').OPERATORS)
    torch.set_num_threads(1)
    print(f'{"operator":24} {"input":12} {"compiled":>11} {"stand-in":>11} '
          f'{"compiled / stand-in":>20}')
    for version, name in enumerate(
        ('deform_conv2d', 'modulated_deform_conv2d'), 1):
        caller = importlib.import_module(f'mmcv.ops.{name[:-2]}')
        for text in args.sizes:
            step = step_of(name, tuple(map(int, text.split('x'))), version)
            times = {}
            for _ in range(args.repeats + 1):
                for module in (compiled, stand_in):
                    caller.ext_module = module
                    start = time.process_time()
                    step()
                    times.setdefault(id(module), []).append(
                        time.process_time() - start)
            caller.ext_module = compiled
            # The first of each warms up.
            slow, fast = (statistics.median(times[id(module)][1:])
                          for module in (compiled, stand_in))
            print(f'{name:24} {text:12} {slow * 1e3:8.1f} ms '
                  f'{fast * 1e3:8.1f} ms {slow / fast:20.2f}')


if __name__ == '__main__':
    main()
