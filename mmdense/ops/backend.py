"""Which implementation of an operator runs.

Three give one answer: ``reference`` (plain PyTorch, the definition), ``cpu``
(C++, built by setup.py) and ``triton`` (GPU; on a CPU under Triton's
interpreter, for tests). The device and dtype of the input choose, unless
:func:`use_backend` does.
"""
import importlib.util
import os
import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

BACKENDS = ('reference', 'cpu', 'triton')
AUTO = 'auto'
EXPORTED = 'exported'
TRITON_DTYPES = (torch.float16, torch.bfloat16, torch.float32)

# Process-wide and no context variable: autograd's threads see it too, and
# torch.compile guards on a plain global.
_asked = AUTO
_told: set[str] = set()


def _load_library(folder: Path) -> str | None:
    """Register the compiled kernels; say what stood in the way, if anything.

    setup.py names the library after the torch and the Python it was built
    for. Another one is not opened: it may load, and crash in a call.

    Args:
        folder (Path): Where the library is looked for.

    Returns:
        str | None: None when they are loaded, else the reason they are not.
    """
    name = '_C_torch_' + re.sub(r'\W', '_', torch.__version__)
    for suffix in EXTENSION_SUFFIXES:
        path = folder / (name + suffix)
        if path.is_file():
            break
    else:
        others = sorted(
            path.name for path in folder.glob('_C*')
            if path.suffix in ('.so', '.pyd'))
        if not others:
            return 'mmdense was installed without its compiled CPU kernels'
        return (f'the compiled CPU kernels ({", ".join(others)}) were not '
                f'built for torch {torch.__version__} on Python '
                f'{platform.python_version()}')
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        return f'the compiled CPU kernels do not load ({error})'
    return None


_library_problem = _load_library(Path(__file__).parent)


def why_unavailable(name: str) -> str | None:
    """Say why a backend cannot be used, and how to get it.

    Args:
        name (str): ``'reference'``, ``'cpu'`` or ``'triton'``.

    Returns:
        str | None: None if the backend can be used, else one sentence.

    Raises:
        ValueError: If there is no backend of this name.
    """
    if name not in BACKENDS:
        raise ValueError(
            f'use_backend: the backend must be one of {BACKENDS}, got '
            f'{name!r}')
    if name == 'cpu' and _library_problem:
        return (f'{_library_problem}; to get them, install mmdense again with '
                'a C++ compiler at hand and the torch that will run it: '
                '`pip install --no-build-isolation --no-deps '
                '--force-reinstall .` in a checkout')
    if name == 'triton':
        if importlib.util.find_spec('triton') is None:
            return ('triton is not installed; it comes with the CUDA builds '
                    'of torch, or by `pip install triton`')
        if not torch.cuda.is_available() and not _interpreting():
            return ('torch sees no GPU; use a machine with one, or set '
                    'TRITON_INTERPRET=1 before Python starts to run the '
                    'kernels slowly on the CPU')
    return None


def available_backends() -> tuple[str, ...]:
    """Name the backends that can be used in this process.

    Returns:
        tuple[str, ...]: Some of ``'reference'``, ``'cpu'``, ``'triton'``.
    """
    return tuple(name for name in BACKENDS if why_unavailable(name) is None)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run every operator called inside on one backend, in all threads.

    A backward pass uses the backend of its forward pass, wherever it runs.

    Args:
        name (str): ``'reference'``, ``'cpu'``, ``'triton'``, or ``'auto'``
            for the choice by device and dtype.

    Raises:
        ValueError: If there is no backend of this name.
        RuntimeError: If it is not available here; says how to get it.

    Example:
        >>> with use_backend('reference'):
        ...     channel_shift(x, offset)
    """
    global _asked
    if name != AUTO:
        problem = why_unavailable(name)
        if problem:
            raise RuntimeError(f'backend {name!r} is not available: {problem}')
    before, _asked = _asked, name
    try:
        yield
    finally:
        _asked = before


@contextmanager
def use_exported_forms() -> Iterator[None]:
    """Run every operator called inside in the form for other runtimes.

    It consists of standard operators, few and fast ones in a runtime of
    graphs. It is for inference: its derivative is another one at kinks.
    """
    global _asked
    before, _asked = _asked, EXPORTED
    try:
        yield
    finally:
        _asked = before


def exporting() -> bool:
    """Say whether a graph for other runtimes is being traced."""
    return _asked == EXPORTED or torch.onnx.is_in_onnx_export()


def asked() -> str:
    """Return what was asked for.

    Returns:
        str: A backend of :func:`use_backend`, ``'exported'`` within
        :func:`use_exported_forms`, ``'auto'`` outside both.
    """
    return _asked


def select(x: Tensor, wanted: str) -> str:
    """Choose the backend for an input.

    Args:
        x (Tensor): The input whose device and dtype decide.
        wanted (str): A backend's name, or ``'auto'``.

    Returns:
        str: ``'reference'``, ``'cpu'`` or ``'triton'``.

    Raises:
        ValueError: If the wanted backend cannot take this device or dtype.
    """
    # A graph for other runtimes holds standard operators only.
    if exporting():
        return 'reference'
    device = x.device.type
    if wanted == AUTO:
        return _automatic(x, device)
    if wanted == 'cpu' and device != 'cpu':
        raise ValueError(
            f"backend 'cpu': tensors must be on the CPU, got {x.device}")
    if wanted == 'triton':
        if device != 'cuda' and not (device == 'cpu' and _interpreting()):
            raise ValueError(
                f"backend 'triton': tensors must be on a GPU, got {x.device}")
        if x.dtype not in TRITON_DTYPES:
            raise ValueError(
                f"backend 'triton': x must be of {TRITON_DTYPES}, "
                f'got {x.dtype}')
    return wanted


def eager(*tensors: Tensor | None) -> bool:
    """Say whether a call is plain PyTorch, which nothing watches or traces.

    Such a call may leave out the registered operator: the dispatcher and the
    wrappers around Python functions take longer than a small map's kernel.

    Args:
        tensors (Tensor, optional): The arguments of the call.

    Returns:
        bool: False under a compiler, a tracer, a dispatch mode or a transform
        of ``torch.func``, and for subclasses of tensors.
    """
    return not (
        torch.compiler.is_compiling() or torch.jit.is_tracing()
        or _get_current_dispatch_mode() is not None
        or torch._C._are_functorch_transforms_active()
    ) and all(t is None or type(t) in (Tensor, torch.nn.Parameter)
              for t in tensors)


def _automatic(x: Tensor, device: str) -> str:
    if device == 'cpu':
        if _library_problem is None:
            return 'cpu'
        _say_once('cpu')
    elif device == 'cuda' and x.dtype in TRITON_DTYPES:
        if why_unavailable('triton') is None:
            return 'triton'
        _say_once('triton')
    return 'reference'


def _say_once(name: str) -> None:
    # Not while a compiler traces: a warning would break its graph.
    if name in _told or torch.compiler.is_compiling():
        return
    _told.add(name)
    warnings.warn(
        f'mmdense runs its operators on the slower reference backend: '
        f'{why_unavailable(name)}.',
        stacklevel=4)


def _interpreting() -> bool:
    # Triton reads the variable when it is imported, through its own knobs
    # afterwards; the kernels of this package read it at their own import.
    return os.environ.get('TRITON_INTERPRET', '0') == '1'


def same_format(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Make an empty tensor in the memory format of ``x``.

    Channels last in, channels last out, and contiguous for everything else:
    the one rule by which both fake and real kernels lay out their results.

    Args:
        x (Tensor): (N, C, H, W); gives dtype, device and format.
        shape (tuple[int, ...]): Four sizes.

    Returns:
        Tensor: Uninitialised, shape ``shape``.
    """
    last = x.is_contiguous(
        memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.empty(
        shape,
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last if last else torch.contiguous_format)


def lay_out(result: Tensor, x: Tensor) -> Tensor:
    """Give a kernel's result the dtype and memory format of ``x``.

    Args:
        result (Tensor): What a kernel returned, four axes.
        x (Tensor): The tensor to follow.

    Returns:
        Tensor: ``result`` itself where nothing is to be changed.
    """
    if result.dtype == x.dtype and result.is_contiguous() and \
            x.is_contiguous():
        return result
    out = same_format(x, result.shape)
    if result.stride() == out.stride() and result.dtype == x.dtype:
        return result
    return out.copy_(result)
