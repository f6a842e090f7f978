"""The Triton tests of a checkout, on the device, each by itself."""
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mmdense

FILE = Path('tests/ops/test_triton_kernels.py')
# Functions of the file that are tests on a device, see there.
PATTERN = 'check_*'


class _Listener:
    """Notes what pytest finds and how it ends."""

    def __init__(self):
        self.found, self.reports = [], []

    def pytest_collection_modifyitems(self, items):
        self.found = [item.nodeid.split('::', 1)[1] for item in items]

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)


def _pytest(*arguments: str) -> tuple[int, _Listener]:
    import pytest
    root, listener = Path(mmdense.__file__).parents[1], _Listener()
    status = pytest.main([
        '-c', str(root / '.pytest.ini'), '--rootdir', str(root), '-p',
        'no:cacheprovider', '-p', 'no:xdist', '--tb=short', '-o',
        f'python_functions={PATTERN}', *arguments
    ], plugins=[listener])
    return int(status), listener


def run(name: str) -> dict:
    """Run one test.

    Returns:
        dict: ``status`` ``'ok'``, ``'failed'`` or ``'skipped'``; the
        ``reason`` where it is not ``'ok'``.
    """
    root = Path(mmdense.__file__).parents[1]
    status, listener = _pytest(f'{root / FILE}::{name}')
    for report in listener.reports:
        if report.failed:
            return dict(status='failed', reason=report.longreprtext)
        if report.skipped:
            return dict(status='skipped', reason=str(report.longrepr))
    if status or not listener.reports:
        return dict(status='failed', reason=f'pytest ended with {status}')
    return dict(status='ok')


def refuse(reason: str) -> dict:
    """Return the result of tests that are not there."""
    return dict(status='failed', reason=reason)


def items() -> dict[str, Callable[[], dict]]:
    """Return every test by name; where there are none, what says why."""
    path = Path(mmdense.__file__).parents[1] / FILE
    if not path.exists():
        return {'all': partial(
            refuse, f'{path} does not exist: run this in a checkout')}
    try:
        status, listener = _pytest('--collect-only', '-q', str(path))
    except ImportError as error:
        return {'all': partial(refuse, f'{error}: `pip install pytest`')}
    if status or not listener.found:
        return {'all': partial(
            refuse, f'pytest found no test in {path}: status {status}')}
    return {name: partial(run, name) for name in listener.found}
