"""The Triton tests of a checkout, on the device, each by itself."""
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import mmdense

ROOT = Path(mmdense.__file__).parents[1]
FILES = 'tests/ops/test_triton_*.py'
# Functions of these files that are tests on a device, see there.
PATTERN = 'check_*'


class _Listener:
    """Notes what pytest finds and how it ends."""

    def __init__(self):
        self.found, self.reports = [], []

    def pytest_collection_modifyitems(self, items):
        self.found = [item.nodeid for item in items]

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)


def _pytest(*arguments: str) -> tuple[int, _Listener]:
    import pytest
    listener = _Listener()
    status = pytest.main([
        '-c', str(ROOT / '.pytest.ini'), '--rootdir', str(ROOT), '-p',
        'no:cacheprovider', '-p', 'no:xdist', '--tb=short', '-o',
        f'python_functions={PATTERN}', *arguments
    ], plugins=[listener])
    return int(status), listener


def run(name: str) -> dict:
    """Run one test.

    Args:
        name (str): As pytest writes it, ``FILE::FUNCTION[PARAMETERS]``.

    Returns:
        dict: ``status`` ``'ok'``, ``'failed'`` or ``'skipped'``; the
        ``reason`` where it is not ``'ok'``.
    """
    # The reference multiplies in float32, not in TF32.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        status, listener = _pytest(str(ROOT / name))
    for report in listener.reports:
        if report.failed:
            return dict(status='failed', reason=report.longreprtext)
        if report.skipped:
            return dict(status='skipped', reason=str(report.longrepr))
    if status or not listener.reports:
        return dict(status='failed', reason=f'pytest ended with {status}')
    return dict(status='ok')


def _refuse(reason: str) -> dict:
    return dict(status='failed', reason=reason)


def items() -> dict[str, Callable[[], dict]]:
    """Return every test by name; where there are none, what says why."""
    files = sorted(str(path) for path in ROOT.glob(FILES))
    if not files:
        return {'all': partial(
            _refuse, f'{ROOT} has no {FILES}: run this in a checkout')}
    try:
        status, listener = _pytest('--collect-only', '-q', *files)
    except ImportError as error:
        return {'all': partial(_refuse, f'{error}: `pip install pytest`')}
    if status or not listener.found:
        return {'all': partial(
            _refuse, f'pytest found no test in {files}: status {status}')}
    return {name: partial(run, name) for name in listener.found}
