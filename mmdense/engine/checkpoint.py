"""Checkpoints that mmengine 0.10.7 wrote, read with ``weights_only=True``.

Beside tensors such a checkpoint holds the message hub: ``HistoryBuffer``
objects with numpy arrays, and the buffer's statistics methods, which pickle
stores as ``getattr(HistoryBuffer, 'mean')``; a one-cycle schedule stores its
annealing function in the same way. torch's restricted unpickler refuses them
until they are allow-listed.
"""
import pickle

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

__all__ = ['allow_mmengine_checkpoints']


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
        *_READABLE, np.ndarray, np.dtype, *dtypes, *arrays,
        (_restricted_getattr, 'builtins.getattr')
    ])
