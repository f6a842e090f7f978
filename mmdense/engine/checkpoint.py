"""Checkpoints that mmengine 0.10.7 wrote, read with ``weights_only=True``.

Beside tensors such a checkpoint holds the message hub: ``HistoryBuffer``
objects with numpy arrays, and the buffer's statistics methods, which pickle
stores as ``getattr(HistoryBuffer, 'mean')``. torch's restricted unpickler
refuses them until they are allow-listed.
"""
import pickle

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

__all__ = ['allow_mmengine_checkpoints']


def _history_buffer_getattr(owner, name):
    """``getattr`` for the public methods of ``HistoryBuffer``, nothing else.

    The real ``getattr`` would let a crafted file reach any attribute of any
    allowed class.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(
            f'a checkpoint asks for attribute {name!r} of {owner!r}; only '
            'public attributes of HistoryBuffer are read')
    return getattr(HistoryBuffer, name)


def allow_mmengine_checkpoints() -> None:
    """Allow-list what mmengine's checkpoints need beyond tensors.

    Only named classes and functions are added (``torch.serialization.
    add_safe_globals``); ``weights_only=True`` stays in force. Calling it
    again changes nothing.
    """
    if not hasattr(np, '_core'):
        from numpy.core import multiarray  # numpy 1
    else:
        from numpy._core import multiarray
    dtypes = {type(np.dtype(code)) for code in np.typecodes['All']}
    arrays = [(function, f'{module}.multiarray.{function.__name__}')
              for function in (multiarray._reconstruct, multiarray.scalar)
              for module in ('numpy.core', 'numpy._core')]
    torch.serialization.add_safe_globals([
        HistoryBuffer, np.ndarray, np.dtype, *dtypes, *arrays,
        (_history_buffer_getattr, 'builtins.getattr')
    ])
