"""How fast a config's network infers, and what memory that takes."""
import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmdense import networks
from mmdense.analysis.benchmarks.measuring import peak_extra_bytes, use_threads

# As written; in autocast's half precision; through torch.compile; exported and
# run by onnxruntime.
MODES = ('eager', 'autocast', 'compile', 'onnx')
CLOCKS = dict(wall=time.perf_counter, cpu=time.process_time)


def options() -> argparse.ArgumentParser:
    """What every tool that measures inference asks; a parent parser."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        '--shape', type=int, nargs=2, metavar=('H', 'W'),
        help='image size (default: what the first config trains at)')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument(
        '--repeats', type=int, default=15,
        help='samples of each (default: 15)')
    parser.add_argument(
        '--threads', type=int, default=2,
        help='threads of a CPU (default: 2)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument(
        '--clock', choices=list(CLOCKS), default='wall',
        help='wall time, or CPU time of this process, for one thread on a '
        'busy machine (default: wall)')
    parser.add_argument(
        '--no-memory', action='store_true', help='measure time alone')
    return parser


def check_options(parser: argparse.ArgumentParser,
                  args: argparse.Namespace) -> None:
    """End the program where :func:`options` do not fit, naming the option.

    Args:
        parser (argparse.ArgumentParser): Of the tool.
        args (argparse.Namespace): What it has read.
    """
    for name in ('batch', 'repeats', 'threads'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got '
                         f'{getattr(args, name)}')
    if args.shape and min(args.shape) < 1:
        parser.error(f'--shape must be two positive sizes, got {args.shape}')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: PyTorch sees no GPU here')
    if args.device == 'cuda' and args.clock == 'cpu':
        parser.error('--clock cpu does not see what a GPU does')


def inference(config: Config,
              shape: tuple[int, int],
              batch: int = 1,
              device: str | torch.device = 'cpu',
              mode: str = 'eager') -> Callable[[], object]:
    """The forward pass of a config's network on one batch, ready to call.

    The images are noise and the weights those of the constructors: neither
    changes the time of a convolution. No loss, no decoding, no resizing to
    the image: what the host calls ``mode='tensor'``.

    Args:
        config (Config): Of any host.
        shape (tuple[int, int]): Height and width of the images in pixels.
        batch (int): Number of images.
        device (str | torch.device): Where to run.
        mode (str): One of ``MODES``. Autocast is to bfloat16 on a CPU and to
            float16 on a GPU, torch's own choices.

    Returns:
        Callable: Runs the network once and returns its output.

    Raises:
        ValueError: If the host refuses to build it, it has no ONNX form, or
            the packages for that are missing.
    """
    # A copy, because mmseg writes into the config it builds from.
    model = networks.build_model(copy.deepcopy(config)).to(device)
    images = torch.randn(
        batch,
        networks.input_channels(model),
        *shape,
        generator=torch.Generator().manual_seed(0)).to(device)
    if mode == 'onnx':
        return _onnx(model, images)
    size = dict.fromkeys(
        ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'),
        tuple(shape))
    samples = [
        BaseDataElement(metainfo=dict(size, scale_factor=(1., 1.), flip=False))
        for _ in range(batch)
    ]

    network = torch.compile(model) if mode == 'compile' else model
    autocast = torch.autocast(images.device.type, enabled=mode == 'autocast')

    @torch.inference_mode()
    def call():
        with autocast:
            return network(images, samples, mode='tensor')

    return call


def _onnx(model: nn.Module, images: Tensor) -> Callable[[], object]:
    from mmdense.networks import exporting
    exporting.check_onnx_packages()
    program, _ = exporting.program_of(
        model, images.shape[2:], images.shape[1], fixed_size=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'network.onnx'
        exporting.write_onnx(program, model, path)
        run = exporting.load_onnx(path, torch.get_num_threads())
    return lambda: run(images)


def inference_bytes(name: str, shape: tuple[int, int], batch: int,
                    device: str, threads: int, mode: str = 'eager',
                    options: dict | None = None) -> int:
    """Peak memory of one forward pass beyond weights and images, in bytes.

    On a CPU to be called once in a process of its own. The same pass comes
    first: the code it pages in, the threads it starts, what a compiler takes
    are not the network's.
    """
    use_threads(threads)
    config = networks.load_config(name, options)
    call = inference(config, shape, batch, device, mode)
    call()
    return peak_extra_bytes(call, torch.device(device))


def reason(error: Exception) -> str:
    """What an error says, in one line: the first of a compiler's hundreds."""
    first = (str(error).strip().splitlines() or [''])[0]
    return f'{type(error).__name__}: {first}'


_PROGRAM = """
import sys
from mmdense.analysis.benchmarks import networks as network_benchmark
try:
    print(network_benchmark.inference_bytes(*{arguments!r}))
except Exception as error:
    sys.exit(network_benchmark.reason(error))
"""


def inference_bytes_in_fresh_process(*arguments) -> int:
    """:func:`inference_bytes`, on memory nothing used before.

    Raises:
        RuntimeError: If the process fails; the message is one line.
    """
    # Large blocks go back to the system when they are freed; by default
    # glibc keeps more and more of them.
    env = dict(
        os.environ, MALLOC_MMAP_THRESHOLD_='65536', MALLOC_ARENA_MAX='1')
    done = subprocess.run(
        [sys.executable, '-c', _PROGRAM.format(arguments=arguments)],
        env=env,
        capture_output=True,
        text=True)
    if done.returncode:
        # A process that the system killed says nothing.
        said = done.stderr.strip() or f'exit status {done.returncode}'
        raise RuntimeError('the process that measures memory failed '
                           '(--no-memory measures time alone): '
                           f'{said.splitlines()[-1]}')
    return int(done.stdout.split()[-1])
