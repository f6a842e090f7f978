"""Export of a network for other runtimes: ONNX or AOTInductor.

onnxruntime and OpenVINO run the ONNX files.

The export covers the host's ``mode='tensor'``: from preprocessed images to the
raw maps of the head, without loss, decoding or resizing to the image. Our
operators are exported as the standard operators of their definition, so that a
runtime does not need mmdense. A two-stage detector also returns the regions to
which its scores and box deltas belong.
"""
import importlib.util
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import keystr, tree_flatten_with_path

from mmdense.ops.backend import use_exported_forms

__all__ = [
    'Difference', 'check_onnx_packages', 'differences', 'load_aoti',
    'load_onnx', 'load_openvino', 'program_of', 'write_aoti', 'write_onnx'
]

AXES = {0: 'batch', 2: 'height', 3: 'width'}
# All networks here take sides of this more as they take the sides they have.
STEP = 128


class _TensorMode(nn.Module):
    """The tensor mode of a network, with a tuple of maps as output."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def named_outputs(self, images: Tensor) -> dict[str, Tensor]:
        leaves, _ = tree_flatten_with_path(
            self.model(images, None, mode='tensor'))
        return {
            'output' + re.sub(r'\W+', '_', keystr(path)).rstrip('_'): value
            for path, value in leaves
        }

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named_outputs(images).values())

    # What the exported network is compared with.
    of_the_host = forward


class _Regions(nn.Module):
    """A two-stage detector, with regions and head outputs as a tuple."""

    def __init__(self, model: nn.Module):
        super().__init__()
        # Only here is torchvision needed.
        from mmdense.networks.two_stage import TwoStage
        self.detector = TwoStage(model)
        self.named_outputs = self.detector.forward

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.detector(images).values())

    def of_the_host(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.detector.of_the_host(images).values())


def _is_two_stage(model: nn.Module) -> bool:
    return hasattr(model, 'rpn_head') and hasattr(model, 'roi_head')


def _network_of(model: nn.Module) -> nn.Module:
    return (_Regions if _is_two_stage(model) else _TensorMode)(model)


def program_of(
        model: nn.Module,
        shape: tuple[int, int],
        channels: int = 3,
        fixed_size: bool = False) -> tuple[ExportedProgram, list[str]]:
    """Trace a network as a graph of standard operators.

    Batch, height and width stay free where the network allows it.

    Args:
        model (nn.Module): Model of a host, in eval mode.
        shape (tuple[int, int]): Height and width of the images in pixels.
        channels (int): Channels of the images.
        fixed_size (bool): Whether height and width are fixed.

    Returns:
        tuple[ExportedProgram, list[str]]: The graph, and which of
        ``'batch'``, ``'height'`` and ``'width'`` are free in it.

    Raises:
        ValueError: If the network holds operators of mmcv (the message names
            them), cannot be traced, or torch is too old for free sizes.
    """
    if not hasattr(Dim, 'AUTO'):
        raise ValueError('an export needs torch 2.6 or later, got '
                         f'{torch.__version__}')
    compiled = _compiled_operators(model)
    if compiled:
        raise ValueError(
            f'{type(model).__name__} cannot be exported: it holds operators '
            'of mmcv that standard ONNX and torch.export do not have: '
            f'{", ".join(compiled)}')
    network, failure = _network_of(model), None
    axes_to_try = [[0]] if fixed_size else [[0, 2, 3], [0]]
    if _is_two_stage(model):
        # Each image has proposals of its own number.
        axes_to_try = [[]]
    for axes in axes_to_try:
        # torch takes a size of one for a constant, and two equal sizes for
        # one: two images, unequal sides, and no map of one pixel inside.
        grown = (STEP, 2 * STEP) if 2 in axes else (0, 0)
        images = torch.zeros(2 if axes else 1, channels, shape[0] + grown[0],
                             shape[1] + grown[1])
        free = ({axis: Dim.AUTO for axis in axes}, ) if axes else None
        try:
            with use_exported_forms(), warnings.catch_warnings():
                warnings.simplefilter('ignore')
                program = torch.export.export(
                    network, (images, ), dynamic_shapes=free)
        except Exception as error:  # torch.export's own, and the model's
            failure = error
            continue
        if 2 in axes and not _holds(program, network, shape, channels):
            continue
        size, = (
            node.meta['val'].shape for node in program.graph.nodes
            if node.name == 'images')
        return program, [
            name for axis, name in AXES.items()
            if not isinstance(size[axis], int)
        ]
    reason = str(failure).strip().split('\n')[0]
    raise ValueError(f'{type(model).__name__} cannot be exported: {reason}'
                     ) from failure


@torch.no_grad()
def _holds(program: ExportedProgram, network: nn.Module,
           shape: tuple[int, int], channels: int) -> bool:
    """Return whether a graph is right at a size other than the traced one.

    torch leaves a size free and still writes a number that follows from it
    into the graph where it cannot tell two expressions of it to be equal (the
    streams of HRNetV2). ONNX drops the guards that would say so.
    """
    images = torch.randn(
        2,
        channels,
        shape[0] + 2 * STEP,
        shape[1] + STEP,
        generator=torch.Generator().manual_seed(0))
    try:
        got = program.module()(images)
    except (AssertionError, RuntimeError):  # a guard, or sizes that differ
        return False
    return all(
        g.shape == w.shape and bool(((g - w).abs() <= 1e-3 *
                                     w.abs().max()).all())
        for g, w in zip(got, network(images), strict=True))


def _compiled_operators(model: nn.Module) -> list[str]:
    found = {}
    for name, module in model.named_modules():
        if type(module).__module__.startswith('mmcv.ops.'):
            found.setdefault(type(module).__name__, name)
    if _is_two_stage(model):  # torchvision's is taken in its place
        found.pop('RoIAlign', None)
    return [f'{kind} ({name})' for kind, name in found.items()]


def write_onnx(program: ExportedProgram, model: nn.Module,
               out: str | Path) -> None:
    """Write a graph from :func:`program_of` as an ONNX file.

    The metadata hold the mean and the standard deviation with which the host
    normalises images.

    Raises:
        ValueError: If torch cannot convert the graph to ONNX.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            onnx = torch.onnx.export(program, dynamo=True, verbose=False)
    except Exception as error:  # of the exporter's several
        raise ValueError('torch.onnx cannot export it: '
                         f'{type(error).__name__}: {error}') from error
    images, = program.example_inputs[0]
    with torch.no_grad():
        names = list(_network_of(model).named_outputs(images))
    for value, name in zip(onnx.model.graph.outputs, names, strict=True):
        value.name = name
    preprocessor = getattr(model, 'data_preprocessor', None)
    for name in ('mean', 'std'):
        value = getattr(preprocessor, name, None)
        if value is not None:
            onnx.model.metadata_props[name] = str(value.flatten().tolist())
    onnx.save(out)


def check_onnx_packages(openvino: bool = False) -> None:
    """Raise unless the packages to write and check ONNX are installed.

    Args:
        openvino (bool): Whether OpenVINO is needed too.

    Raises:
        ValueError: If one is missing; the message names it.
    """
    missing = [
        name for name in ('onnx', 'onnxscript', 'onnxruntime')
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ValueError(f'an ONNX export needs {", ".join(missing)}, not '
                         'installed here: pip install "mmdense[export]"')
    if openvino and importlib.util.find_spec('openvino') is None:
        raise ValueError('openvino must be installed to run a network in it: '
                         'pip install "mmdense[openvino]"')


def load_onnx(path: str | Path,
              threads: int = 1) -> Callable[[Tensor], list[Tensor]]:
    """Load an ONNX file as a function of images, run by onnxruntime.

    Raises:
        ValueError: If onnxruntime cannot load it.
    """
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # of onnxruntime's several
        raise ValueError(f'onnxruntime cannot load {path}: '
                         f'{type(error).__name__}: {error}') from error
    name, = (value.name for value in session.get_inputs())

    def run(images):
        return [
            torch.from_numpy(value)
            for value in session.run(None, {name: images.numpy()})
        ]

    return run


def load_openvino(path: str | Path,
                  threads: int = 1) -> Callable[[Tensor], list[Tensor]]:
    """Load an ONNX file as a function of images, run by OpenVINO on a CPU.

    It computes in float32; OpenVINO's own choice is bfloat16 where the CPU
    has it. OpenVINO takes a NaN for a zero in some operators.

    Raises:
        ValueError: If OpenVINO cannot load it.
    """
    import openvino
    options = dict(
        INFERENCE_PRECISION_HINT='f32',
        INFERENCE_NUM_THREADS=threads,
        PERFORMANCE_HINT='LATENCY')
    try:
        request = openvino.Core().compile_model(str(path), 'CPU',
                                                options).create_infer_request()
    except RuntimeError as error:
        raise ValueError(f'OpenVINO cannot load {path}: {error}') from error

    def run(images):
        found = request.infer({0: images.numpy()})
        # The request writes its next results into the same memory.
        return [torch.from_numpy(value.copy()) for value in found.values()]

    return run


def write_aoti(program: ExportedProgram, out: str | Path) -> None:
    """Compile a graph ahead of time into a ``.pt2`` package.

    Raises:
        ValueError: If there is no C++ compiler, or the compiler fails.
    """
    try:
        torch._inductor.aoti_compile_and_package(
            program, package_path=str(out))
    except Exception as error:  # of the compiler's several
        raise ValueError('AOTInductor cannot compile it: '
                         f'{type(error).__name__}: {error}') from error


def load_aoti(path: str | Path) -> Callable[[Tensor], list[Tensor]]:
    """Load a ``.pt2`` package as a function of images."""
    package = torch._inductor.aoti_load_package(str(path))

    def run(images):
        out = package(images)
        return [out] if isinstance(out, Tensor) else list(out)

    return run


@dataclass
class Difference:
    """Difference between an exported network and PyTorch on one batch.

    For several outputs: of the output that differs most, relative to its
    largest value.

    Attributes:
        size (tuple[int, ...]): Shape of the images, (N, C, H, W).
        largest (float): Largest difference of any value.
        scale (float): Largest absolute value in the output of PyTorch.
    """
    size: tuple[int, ...]
    largest: float
    scale: float

    @property
    def relative(self) -> float:
        """Largest difference over largest value."""
        return self.largest / max(self.scale, 1e-30)


@torch.no_grad()
def differences(model: nn.Module, exported: Callable[[Tensor], list[Tensor]],
                shape: tuple[int, int], channels: int,
                free: list[str]) -> list[Difference]:
    """Compare an exported network with PyTorch on noise.

    Args:
        model (nn.Module): The model that was exported.
        exported (Callable): Result of :func:`load_onnx` or :func:`load_aoti`.
        shape (tuple[int, int]): Height and width it was exported for.
        channels (int): Channels of the images.
        free (list[str]): Free sizes; other values of these are compared too.

    Returns:
        list[Difference]: One for each size of the batch.

    Raises:
        ValueError: If the two differ in the number or the shape of outputs,
            the exported network fails, or PyTorch gives zeros only.
    """
    height, width = shape
    network = _network_of(model)
    sizes = [(1 if _is_two_stage(model) else 2, height, width)]
    if 'batch' in free:
        sizes = [(1, height, width), (3, height, width)]
    if 'height' in free and 'width' in free:
        sizes.append((sizes[0][0], height + 2 * STEP, width + STEP))
    found = []
    for batch, height, width in sizes:
        images = torch.randn(
            batch,
            channels,
            height,
            width,
            generator=torch.Generator().manual_seed(0))
        wanted = network.of_the_host(images)
        try:
            got = exported(images)
        except Exception as error:  # the runtime's own
            raise ValueError(
                f'the exported network stops at images {tuple(images.shape)}:'
                f' {type(error).__name__}: {error}') from error
        if [w.shape for w in wanted] != [g.shape for g in got]:
            raise ValueError(
                f'for images {tuple(images.shape)} PyTorch gives maps '
                f'{[tuple(w.shape) for w in wanted]}, the exported network '
                f'{[tuple(g.shape) for g in got]}')
        if not any(w.any() for w in wanted):
            raise ValueError(
                f'{type(model).__name__} without training gives zeros only, '
                'which any network of zeros does: compare trained weights')
        found.append(
            max((Difference(
                tuple(images.shape), float((g - w).abs().max()),
                float(w.abs().max()))
                 for g, w in zip(got, wanted, strict=True)),
                key=_nan_first))
    return found


def _nan_first(difference: Difference) -> tuple[bool, float]:
    # Python's max would pass over a NaN.
    return math.isnan(difference.relative), difference.relative
