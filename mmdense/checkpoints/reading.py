"""Checkpoints that mmengine 0.10.7 wrote: read safely, compared, loaded.

Everything is read with ``weights_only=True``. Beside tensors such a
checkpoint holds the message hub: ``HistoryBuffer`` objects with numpy arrays,
and the buffer's statistics methods, which pickle stores as
``getattr(HistoryBuffer, 'mean')``; a one-cycle schedule stores its annealing
function in the same way. The data set's meta holds numpy arrays, of which an
empty one asks for ``bytes``, and the config's own dicts. torch's restricted
unpickler refuses them until they are allow-listed.
"""
import codecs
import functools
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from torch import Tensor, nn

from mmdense.modules.adaptive_dilated_conv import read_old_bias

__all__ = [
    'allow_mmengine_checkpoints', 'check_whole', 'is_whole', 'load_weights',
    'misfit', 'read_checkpoint', 'weights_of'
]

# The bias that rates came from when it was 1 at first, and not 0 as now.
OLD_RATES = re.compile(r'\brate_regression\.(fc2\.)?bias$')

# What a checkpoint may read off a class, instead of the real ``getattr``: that
# would let a crafted file reach any attribute of any allowed class.
_READABLE = {
    HistoryBuffer:
    {name
     for name in vars(HistoryBuffer) if not name.startswith('_')},
    OneCycleParamScheduler: {'_annealing_cos', '_annealing_linear'}
}


def _restricted_getattr(owner, name):
    if not isinstance(owner, type) or name not in _READABLE.get(owner, ()):
        raise pickle.UnpicklingError(
            f'a checkpoint asks for attribute {name!r} of {owner!r}, which '
            'none that mmengine wrote holds')
    return getattr(owner, name)


def _empty_bytes(*args) -> bytes:
    """Return the empty bytes that an empty numpy array needs.

    ``bytes(10**12)`` would take that much memory.
    """
    if args:
        raise pickle.UnpicklingError(
            f'a checkpoint asks for bytes{args!r}, which none that mmengine '
            'wrote holds')
    return b''


def _plain_dict(entries: dict) -> dict:
    """Return a plain dict in place of mmengine's ``ConfigDict``."""
    return dict(entries)


@functools.cache
def _renamed(function: Callable, name: str) -> Callable:
    """Return a copy of ``function`` that pickle finds under ``name``."""

    def renamed(*args):
        return function(*args)

    renamed.__module__, _, renamed.__name__ = name.rpartition('.')
    return renamed


def allow_mmengine_checkpoints() -> None:
    """Allow-list the types in mmengine's checkpoints besides tensors.

    Only named classes and functions are added (``torch.serialization.
    add_safe_globals``); ``weights_only=True`` stays in force. Calling it
    again changes nothing.
    """
    if not hasattr(np, '_core'):
        from numpy.core import multiarray  # numpy 1
    else:
        from numpy._core import multiarray
    dtypes = {type(np.dtype(code)) for code in np.typecodes['All']}
    allowed = {
        f'{kind.__module__}.{kind.__qualname__}': kind
        for kind in (*_READABLE, np.ndarray, np.dtype, *dtypes)
    }
    allowed['builtins.getattr'] = _restricted_getattr
    allowed['builtins.bytes'] = _empty_bytes
    allowed['mmengine.config.config.ConfigDict'] = _plain_dict
    # Bytes in numpy's numbers; a later torch than 2.4 allows it by itself.
    allowed['_codecs.encode'] = codecs.encode
    for function in (multiarray._reconstruct, multiarray.scalar):
        for module in ('numpy.core', 'numpy._core'):
            allowed[f'{module}.multiarray.{function.__name__}'] = function
    if torch.__version__ >= (2, 6):
        # With their names, classes too: mmengine's fork takes those without
        # off the list whenever it has loaded something.
        entries = [(what, name) for name, what in allowed.items()]
    else:
        # Here an entry's name is its own, and a pair breaks the whole list.
        entries = [
            what if isinstance(what, type) else _renamed(what, name)
            for name, what in allowed.items()
        ]
    there = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(
        [entry for entry in entries if entry not in there])


def _damage(path: Path) -> str | None:
    """Describe what is wrong with the bytes of a checkpoint file.

    Damage in the middle of a file is not found if the file was written before
    torch 1.6 (it is not an archive) or with
    ``torch.serialization.set_crc32_options(False)`` (its checksums are all 0).
    """
    # A zip archive's table of contents is its end: what lacks it was cut.
    if not zipfile.is_zipfile(path):
        with open(path, 'rb') as file:
            start = file.read(8)
        cut = start[:2] == b'PK' or not start.strip(b'\0')
        return 'the end is missing' if cut else None
    try:
        with zipfile.ZipFile(path) as archive:
            if not any(member.CRC for member in archive.infolist()):
                return None
            # A file system may leave a file its length and lose a part.
            member = archive.testzip()
    except Exception as error:  # whatever bytes that are no archive cause
        return f'{type(error).__name__}: {error}'
    return None if member is None else f'{member} in it is damaged'


def is_whole(path: str | Path) -> bool:
    """Return whether a checkpoint file exists and is complete.

    Reads the whole file: about 40 ms for 200 MB that are cached.
    """
    return Path(path).is_file() and _damage(Path(path)) is None


def check_whole(path: str | Path) -> None:
    """Raise if a checkpoint file is damaged.

    Raises:
        ValueError: If the end of the file is missing, or its bytes are not
            those that were written.
    """
    damage = _damage(Path(path))
    if damage:
        raise ValueError(f'checkpoint {path} is not whole '
                         f'({Path(path).stat().st_size} bytes, {damage})')


def read_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint file onto the CPU.

    Args:
        path (str | Path): A file that mmengine or ``torch.save`` wrote, or a
            ``.safetensors`` file.

    Returns:
        dict: The content of the file; for ``.safetensors`` the weights.

    Raises:
        ValueError: If the file does not exist, is damaged, is not a
            checkpoint, or holds objects that are neither weights nor written
            by mmengine.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f'{path} must be a checkpoint file, got a folder')
    if not path.is_file():
        raise ValueError(f'{path}: no such checkpoint')
    check_whole(path)
    allow_mmengine_checkpoints()
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file
            return load_file(path)
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} cannot be read as a checkpoint: {_refusal(error)}'
        ) from error
    except Exception as error:  # whatever bytes that are no checkpoint cause
        raise ValueError(f'{path} cannot be read as a checkpoint: '
                         f'{type(error).__name__}: {error}') from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} must hold a dict, got '
                         f'{type(checkpoint).__name__}')
    return checkpoint


def _refusal(error: pickle.UnpicklingError) -> str:
    """Describe a refused object, without torch's advice to load it anyway.
    """
    asked = re.search(r'GLOBAL (\S+)|asks for (attribute .+?|bytes.+?), which',
                      str(error))
    if asked is None:
        return f'{type(error).__name__}: {error}'
    return (f'refused, it asks for {asked[1] or asked[2]}, which is no weight '
            'and nothing that mmengine puts beside them')


def weights_of(checkpoint: dict) -> dict[str, Tensor]:
    """Return the weights in a checkpoint, named as in the network.

    If mmengine's ``EMAHook`` was used, these are the averaged weights; the
    others are in ``ema_state_dict``. Entries that are not tensors are left
    out. The rates of older adaptive convolutions are converted to the present
    form.
    """
    entries = checkpoint.get('state_dict', checkpoint)
    weights = {
        name.removeprefix('module.'): value
        for name, value in (
            entries.items() if isinstance(entries, dict) else ())
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    for name in [name for name in weights if OLD_RATES.search(name)]:
        read_old_bias(weights, name.removesuffix('bias'))
    return weights


def misfit(here: dict[str, Tensor], there: dict[str, Tensor]) -> str:
    """Describe how two sets of weights differ.

    Args:
        here (dict[str, Tensor]): Weights of the network.
        there (dict[str, Tensor]): Weights of the checkpoint.

    Returns:
        str: The differences; empty if names and shapes are the same.
    """
    missing = [name for name in here if name not in there]
    unknown = [name for name in there if name not in here]
    shapes = [(name, tuple(there[name].shape), tuple(here[name].shape))
              for name in here
              if name in there and there[name].shape != here[name].shape]
    parts = []
    if missing:
        parts.append(f'{len(missing)} of the network\'s {len(here)} '
                     f'entries are not in it ({missing[0]}, ...)')
    if unknown:
        parts.append(f'{len(unknown)} of its entries are not in the '
                     f'network ({unknown[0]}, ...)')
    if shapes:
        name, theirs, ours = shapes[0]
        parts.append(f'{len(shapes)} have another shape ({name}: {theirs} '
                     f'there, {ours} here)')
    return '; '.join(parts)


def load_weights(model: nn.Module, path: str | Path) -> dict:
    """Load all of a network's weights from a file.

    Args:
        model (nn.Module): Receives them.
        path (str | Path): Checkpoint file.

    Returns:
        dict: The checkpoint.

    Raises:
        ValueError: If the file cannot be read, a weight is missing, or the
            file holds a weight that the network does not have.
    """
    checkpoint = read_checkpoint(path)
    weights = weights_of(checkpoint)
    difference = misfit(model.state_dict(), weights)
    if difference:
        raise ValueError(f'checkpoint {path} does not fit this config\'s '
                         f'network: {difference}')
    model.load_state_dict(weights)
    return checkpoint
