"""Imports of all modules that register classes of mmdense.

If a host is not installed or does not import, only its own classes are
missing.
"""
import importlib
import importlib.util
import warnings

import mmdense.adapters  # noqa: F401

for host in ('mmpose', 'mmseg', 'mmdet'):
    if importlib.util.find_spec(host) is None:
        continue
    try:
        importlib.import_module(f'mmdense.{host}')
    except Exception as error:  # a host's own version assertions, mostly
        warnings.warn(
            f'{host} is installed but does not import ({error!r}); '
            f'mmdense registers nothing for it. `python tools/doctor.py` '
            'names the cause.',
            stacklevel=2)
