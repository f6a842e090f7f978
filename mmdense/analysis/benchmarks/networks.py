"""Speed and memory of the inference of a config's network."""
import argparse
import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmdense import networks
from mmdense.analysis.benchmarks.measuring import (
    CLOCKS,
    check_clock,
    use_threads,
)
from mmdense.analysis.benchmarks.memory import peak_extra_bytes
from mmdense.command_line import check_at_least_1

# As written; in autocast's half precision; through torch.compile; exported and
# run by onnxruntime; exported and run by OpenVINO.
EXPORTED = ('onnx', 'openvino')
MODES = ('eager', 'autocast', 'compile', *EXPORTED)


def options() -> argparse.ArgumentParser:
    """Return a parent parser with the options of the inference benchmarks."""
    parser = argparse.ArgumentParser(add_help=False)
    networks.add_shape(parser, 'the first config')
    parser.add_argument('--batch', type=int, default=1,
                        help='images in a batch (default: 1)')
    parser.add_argument(
        '--repeats', type=int, default=15,
        help='samples of each (default: 15)')
    parser.add_argument(
        '--threads', type=int, default=2,
        help='threads of the CPU (default: 2)')
    parser.add_argument(
        '--device', choices=['cpu', 'cuda'], default='cpu',
        help='where to run (default: cpu)')
    parser.add_argument(
        '--clock', choices=list(CLOCKS), default='wall',
        help='wall time, or CPU time of this process, which suits one '
        'thread on a busy machine (default: wall)')
    parser.add_argument(
        '--no-memory', action='store_true', help='measure only the time')
    return parser


def check_options(parser: argparse.ArgumentParser,
                  args: argparse.Namespace) -> None:
    """End the program if a value of :func:`options` is not allowed.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        args (argparse.Namespace): The arguments it has read.
    """
    check_at_least_1(parser, args, 'batch', 'repeats', 'threads')
    check_clock(parser, args)


def inference(config: Config,
              shape: tuple[int, int],
              batch: int = 1,
              device: str | torch.device = 'cpu',
              mode: str = 'eager') -> Callable[[], object]:
    """Prepare the forward pass of a config's network on one batch.

    The images are noise and the weights are the initial ones: neither changes
    the time of a convolution. The pass is the host's ``mode='tensor'``:
    without loss, decoding or resizing to the image.

    Args:
        config (Config): Config of any host.
        shape (tuple[int, int]): Height and width of the images in pixels.
        batch (int): Number of images.
        device (str | torch.device): Device to run on.
        mode (str): One of ``MODES``. Autocast is to bfloat16 on a CPU and to
            float16 on a GPU, torch's own choices.

    Returns:
        Callable: Runs the network once and returns its output.

    Raises:
        ValueError: If the host cannot build the network, it cannot be exported
            to ONNX, or the packages for that are missing.
    """
    # A copy, because mmseg writes into the config it builds from.
    model = networks.build_model(copy.deepcopy(config)).to(device)
    images = torch.randn(
        batch,
        networks.input_channels(model),
        *shape,
        generator=torch.Generator().manual_seed(0)).to(device)
    if mode in EXPORTED:
        return _exported(model, images, mode)
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


def _exported(model: nn.Module, images: Tensor,
              mode: str) -> Callable[[], object]:
    from mmdense.networks import exporting
    exporting.check_onnx_packages(mode == 'openvino')
    load = (exporting.load_onnx if mode == 'onnx' else exporting.load_openvino)
    program, _ = exporting.program_of(
        model, images.shape[2:], images.shape[1], fixed_size=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'network.onnx'
        exporting.write_onnx(program, model, path)
        run = load(path, torch.get_num_threads())
    return lambda: run(images)


def inference_bytes(name: str, shape: tuple[int, int], batch: int,
                    device: str, threads: int, mode: str = 'eager',
                    options: dict | None = None) -> int:
    """Return the peak memory of a forward pass in bytes.

    Weights and images are not counted. On a CPU, call it once in a new
    process. The same pass runs once before, so that loaded code, threads and
    the compiler are not counted.
    """
    use_threads(threads)
    config = networks.load_config(name, options)
    call = inference(config, shape, batch, device, mode)
    call()
    return peak_extra_bytes(call, torch.device(device))


def reason(error: Exception) -> str:
    """Return the first line of an error."""
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
    """Return :func:`inference_bytes`, measured in a new process.

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
