"""Warnings that are shown once in a process."""
import functools
import warnings

import torch


def warn_once(message: str) -> None:
    """Warn with ``message`` the first time in this process.

    Python's own filter forgets what it has shown whenever someone enters
    ``warnings.catch_warnings``, as torch does in the middle of training. A
    graph being compiled has no place for warnings.
    """
    if not torch.compiler.is_compiling():
        _warn(message)


@functools.cache
def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
