"""Measure the speed and the memory of the inference of a network.

    python tools/benchmark.py CONFIG --shape 512 512
    python tools/benchmark.py CONFIG --mode eager compile onnx --batch 8
    python tools/benchmark.py mmseg::pspnet/CONFIG.py --device cuda

The forward pass of the host's network alone: no loading of images, no
decoding. Modes onnx and openvino export it first, and run the file in
onnxruntime or in OpenVINO. Memory is the peak of one pass beyond weights and
images, in a fresh process (of OpenVINO it is not measured). If a mode fails,
its row gives the reason, the other modes are still measured, and the exit
status is 1. To compare two networks use benchmark_networks.py, which times
them in turn.
"""
import argparse
import copy
import os
import statistics
import sys
import time

import torch

from mmdense import networks
from mmdense.analysis import complexity
from mmdense.analysis.benchmarks import networks as network_benchmark
from mmdense.analysis.benchmarks.measuring import (
    CLOCKS,
    measure,
    quartiles,
    use_threads,
)
from mmdense.command_line import one_line_errors


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        parents=[network_benchmark.options()],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of mmdense or of a host')
    parser.add_argument(
        '--mode', nargs='+', choices=network_benchmark.MODES,
        default=['eager'],
        help='modes, one row each; autocast is bfloat16 on a CPU, float16 on '
        'a GPU (default: eager)')
    networks.add_cfg_options(parser)
    args = parser.parse_args(argv)
    network_benchmark.check_options(parser, args)
    for mode in network_benchmark.EXPORTED:
        if args.device == 'cuda' and mode in args.mode:
            parser.error(f'--mode {mode} runs on a CPU')
    return args


def row(args: argparse.Namespace, config, shape: tuple[int, int],
        mode: str) -> str:
    """Return one line of the table."""
    synchronize = (
        torch.cuda.synchronize if args.device == 'cuda' else lambda: None)
    call = network_benchmark.inference(config, shape, args.batch, args.device,
                                       mode)
    start = time.perf_counter()
    call()
    synchronize()
    first = time.perf_counter() - start
    samples = measure(
        call,
        args.repeats,
        synchronize=synchronize,
        clock=CLOCKS[args.clock])
    median = statistics.median(samples)
    low, high = quartiles(samples)
    memory = '-'
    # OpenVINO holds the memory for its maps before the first pass too.
    if not args.no_memory and mode != 'openvino':
        peak = network_benchmark.inference_bytes_in_fresh_process(
            args.config, shape, args.batch, args.device, args.threads, mode,
            args.cfg_options)
        memory = f'{peak / 1e6:.1f}'
    return (f'{mode:9} {median * 1e3:10.1f} {low * 1e3:9.1f} to '
            f'{high * 1e3:<9.1f} {args.batch / median:10.1f} {memory:>9} '
            f'{first:12.1f}')


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    use_threads(args.threads)
    config = networks.load_config(args.config, args.cfg_options)
    shape = tuple(args.shape or networks.input_shape(config))
    model = networks.build_model(copy.deepcopy(config))
    total = complexity.count_model(
        model, shape, networks.input_channels(model))[0].total
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0
    print(f'{args.batch} x {shape[0]}x{shape[1]} on {args.device}, '
          f'{args.threads} threads, {args.clock} time, load {load:.1f}, '
          f'torch {torch.__version__}')
    print(f'{total.params / 1e6:.3f} M parameters, '
          f'{total.macs / 1e9:.3f} x 10^9 multiply-adds an image\n')
    print(f'{"mode":9} {"latency ms":>10} {"quartiles ms":>22} '
          f'{"images/s":>10} {"peak MB":>9} {"first call s":>12}')
    failed = False
    for mode in args.mode:
        try:
            print(row(args, config, shape, mode), flush=True)
        except Exception as error:  # of the host, a compiler, a runtime
            failed = True
            print(f'{mode:9} failed: {network_benchmark.reason(error)}',
                  flush=True)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
