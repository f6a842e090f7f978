"""Says what is installed, what does not fit together, and how to mend it.

Exit status 1 when something is broken. Nothing is changed. The commands are
for the folder of a checkout, with the pip of the same environment.

All of it stands in this file, none in the library: it has to run where neither
mmdense nor torch imports.
"""
import argparse
import contextlib
import importlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

try:
    from packaging.specifiers import SpecifierSet
except ImportError:  # nothing but pip is there yet
    from pip._vendor.packaging.specifiers import SpecifierSet

OK, NOTE, BROKEN = 'ok', 'note', 'broken'
# What the suite is run with; other versions may do as well.
PYTHONS = (3, 10), (3, 11), (3, 12), (3, 13)
TESTED = dict(
    torch='2.14.1',
    torchvision='0.29.1',
    mmengine='0.10.7',
    mmcv='2.1.0',
    mmdet='3.3.0',
    mmsegmentation='1.2.2',
    mmpose='1.3.2',
    openmim='0.3.9')
FORKS = dict(
    mmengine='onedl-mmengine',
    mmcv='onedl-mmcv',
    mmdet='onedl-mmdetection',
    mmsegmentation='onedl-mmsegmentation')
OPERATORS = 'mmcv-ops-torchvision'
INSTALL_MMCV = (f'pip install --no-deps mmcv-lite=={TESTED["mmcv"]} '
                './requirements/mmcv_ops')
# What is imported by packages that pip installs without what they ask for.
IMPORTED = 'pip install -r requirements/runtime.txt -r requirements/hosts.txt'
INSTALL_TORCH = (f'pip install torch=={TESTED["torch"]} '
                 f'torchvision=={TESTED["torchvision"]}')
INSTALL_MMDENSE = 'pip install --no-build-isolation --no-deps -e .'


@dataclass
class Finding:
    """One line of the report; ``remedy`` is a command, or empty."""
    name: str
    status: str
    detail: str
    remedy: str = ''


def version_of(*distributions: str) -> str | None:
    """The version of the first of these that is installed."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def numbers(version: str) -> tuple[int, ...]:
    """``'2.11.0+cu130'`` as ``(2, 11, 0)``."""
    parts = version.split('+')[0].split('.')[:3]
    return tuple(int(part) for part in parts if part.isdigit())


def import_error(module: str) -> str | None:
    """Why ``module`` does not import, in one line; None when it does."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken package may raise anything
        lines = str(error).strip().splitlines() or ['']
        return f'{type(error).__name__}: {lines[0]}'
    return None


def install(name: str) -> str:
    """The command that installs an mm package of the tested version."""
    return f'{IMPORTED} && pip install --no-deps {name}=={TESTED[name]}'


def reinstall(name: str) -> str:
    """The command that writes an mm package anew, or its fork's files."""
    fork = None if version_of(name) else FORKS.get(name)
    wanted = (f'{fork}=={version_of(fork)}' if fork
              else f'{name}=={TESTED[name]}')
    # pip leaves alone what has the right version, be it broken.
    return f'{IMPORTED} && pip install --no-deps --force-reinstall {wanted}'


def replace_mmcv(*installed: str) -> str:
    """The command that puts the tested mmcv in the place of these."""
    return f'pip uninstall -y {" ".join(installed)} && {INSTALL_MMCV}'


def check_python() -> Finding:
    version = '.'.join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in PYTHONS:
        return Finding('python', OK, version)
    if sys.version_info >= (3, 14):
        # mmengine/utils/dl_utils/misc.py, called by every training.
        return Finding(
            'python', BROKEN, f'{version}: mmengine 0.10.7 calls '
            'pkgutil.find_loader, which Python 3.14 dropped',
            'PYTHON=python3.12 bash tools/set_up.sh')
    return Finding('python', NOTE, f'{version}, tested on 3.10 to 3.13')


def check_torch() -> Finding:
    version = version_of('torch')
    if version is None:
        return Finding('torch', BROKEN, 'not installed', INSTALL_TORCH)
    error = import_error('torch')
    if error:
        return Finding('torch', BROKEN, f'{version} does not import: {error}',
                       f'pip install --force-reinstall torch=={version}')
    if numbers(version) < (2, 4):
        return Finding('torch', BROKEN, f'{version}, must be 2.4 or later',
                       INSTALL_TORCH)
    import torch
    device = (f'{torch.cuda.device_count()} GPU'
              if torch.cuda.is_available() else 'no GPU')
    return Finding('torch', OK, f'{version}, {device}')


def wanted_torch() -> str | None:
    """The torch that the installed torchvision asks for: ``'==2.11.0'``."""
    for line in importlib.metadata.requires('torchvision') or ():
        found = re.match(r'torch\b\s*\(?([^;)]*)', line)
        if found:
            return found[1].strip()
    return None


def check_torchvision() -> Finding:
    torch, version = version_of('torch'), version_of('torchvision')
    if torch is None:
        return Finding('torchvision', BROKEN, f'{version}, without torch',
                       INSTALL_TORCH)
    # pip finds the torchvision that goes with this torch.
    pair = f'pip install torch=={torch.split("+")[0]} torchvision'
    if version is None:
        return Finding('torchvision', BROKEN,
                       'not installed, and mmpose imports it', pair)
    wanted = wanted_torch()
    if wanted and not SpecifierSet(wanted).contains(
            torch.split('+')[0], prereleases=True):
        return Finding('torchvision', BROKEN,
                       f'{version} needs torch{wanted}, got {torch}', pair)
    error = import_error('torchvision')
    if error:
        return Finding('torchvision', BROKEN,
                       f'{version} does not import: {error}',
                       'pip install --force-reinstall --no-deps torchvision=='
                       f'{version.split("+")[0]}')
    return Finding('torchvision', OK, f'{version}, pairs with torch {torch}')


def check_numpy() -> Finding:
    version = version_of('numpy')
    if version is None or not (1, 26) <= numbers(version) < (2, 4):
        return Finding(
            'numpy', BROKEN,
            f'{version or "not installed"}, must be 1.26 up to '
            'below 2.4 (mmpose fails to draw keypoints on 2.4)',
            "pip install 'numpy>=1.26,<2.4'")
    return Finding('numpy', OK, version)


def check_setuptools() -> Finding:
    version = version_of('setuptools')
    if version is None or numbers(version) >= (82, ):
        return Finding(
            'setuptools', BROKEN, f'{version or "not installed"}: mim and '
            'mmengine import pkg_resources, which 82 dropped',
            "pip install 'setuptools>=77,<82'")
    return Finding('setuptools', OK, version)


def check_forks() -> Iterator[Finding]:
    for original, fork in FORKS.items():
        if version_of(original) and version_of(fork):
            remedy = (
                replace_mmcv(fork, original) if original == 'mmcv' else
                f'pip uninstall -y {fork} {original} && {install(original)}')
            yield Finding(
                fork, BROKEN,
                f'installed over {original}: they share their files', remedy)


def check_mmengine() -> Finding:
    version = version_of('mmengine', FORKS['mmengine'])
    if version is None:
        return Finding('mmengine', BROKEN, 'not installed',
                       install('mmengine'))
    error = import_error('mmengine.runner')
    if error:
        return Finding('mmengine', BROKEN,
                       f'{version} does not import: {error}',
                       reinstall('mmengine'))
    return Finding('mmengine', OK, version)


def check_mmcv() -> Finding:
    """Compiled, or mmcv-lite with the operators of requirements/mmcv_ops."""
    compiled = 'mmcv' if version_of('mmcv') else FORKS['mmcv']
    version, lite = version_of(compiled), version_of('mmcv-lite')
    if version and lite:
        return Finding('mmcv', BROKEN,
                       f'mmcv-lite {lite} is installed over {compiled} '
                       f'{version}: they share their files',
                       replace_mmcv(compiled, 'mmcv-lite'))
    installed = compiled if version else 'mmcv-lite'
    version = version or lite
    if version is None:
        return Finding('mmcv', BROKEN, 'not installed', INSTALL_MMCV)
    if numbers(version) >= (2, 2) and installed != FORKS['mmcv']:
        return Finding(
            'mmcv', BROKEN,
            f'{version}: mmdet 3.3.0 and mmsegmentation 1.2.2 refuse 2.2.0 '
            'and later', replace_mmcv(installed))
    error = import_error('mmcv.ops')
    if error and lite:
        operators = version_of(OPERATORS)
        return Finding(
            'mmcv', BROKEN, f'{version} lite: mmcv.ops does not import '
            f'({error}); its operators ({OPERATORS}) are '
            f'{operators or "not installed"}',
            replace_mmcv('mmcv-lite', OPERATORS) if operators else
            'pip install --no-deps ./requirements/mmcv_ops')
    if error:
        return Finding(
            'mmcv', BROKEN, f'{version}: mmcv.ops does not import ({error}); '
            'it was built without ops or against another torch',
            replace_mmcv(installed))
    return Finding('mmcv', OK, f'{version} {operators_of_mmcv()}')


def operators_of_mmcv() -> str:
    """Where the operators of the mmcv that imports come from."""
    stand_in = getattr(importlib.import_module('mmcv._ext'), 'STAND_IN', None)
    return f'lite with {stand_in}' if stand_in else 'compiled, with ops'


def check_host(name: str, module: str) -> Finding:
    version = version_of(name, FORKS.get(name, name))
    if version is None:
        return Finding(name, NOTE, f'not installed: no `mim train {module}`',
                       install(name))
    error = import_error(f'{module}.models')
    if error:
        return Finding(name, BROKEN, f'{version} does not import: {error}',
                       reinstall(name))
    return Finding(name, OK, version)


def check_xtcocotools() -> Finding:
    version = version_of('xtcocotools')
    remedy = 'pip install ./requirements/xtcocotools'
    if version is None:
        error = import_error('xtcocotools.cocoeval')
        if error:
            return Finding('xtcocotools', NOTE,
                           f'not installed; mmpose needs it ({error})', remedy)
        stand_in = importlib.import_module('xtcocotools').STAND_IN
        return Finding('xtcocotools', OK, stand_in)
    error = import_error('xtcocotools._mask')
    if error:
        return Finding('xtcocotools', BROKEN,
                       f'{version} does not import: {error}',
                       f'pip uninstall -y xtcocotools && {remedy}')
    return Finding('xtcocotools', OK, version)


def check_mim() -> Finding:
    version = version_of('openmim', 'onedl-mim')
    if version is None:
        return Finding('openmim', NOTE, 'not installed: no `mim` command',
                       install('openmim'))
    hidden = [FORKS[name] for name in ('mmdet', 'mmsegmentation')
              if version_of(FORKS[name]) and not version_of(name)]
    if hidden and version_of('openmim'):
        return Finding(
            'openmim', NOTE, f'{version} does not see {" and ".join(hidden)}: '
            '`mim train` installs the original over it, '
            '`python tools/train.py CONFIG` trains with it')
    return Finding('openmim', OK, version)


def check_mmdense() -> Finding:
    error = import_error('mmdense')
    if error:
        return Finding('mmdense', BROKEN, error,
                       INSTALL_MMDENSE)
    import mmdense
    if import_error('mmengine.registry') is None:
        error = import_error('mmdense.locations')
        if error:
            return Finding('mmdense', BROKEN,
                           f'its adapters do not import: {error}',
                           'bash tools/set_up.sh')
    return Finding('mmdense', OK, mmdense.__version__)


def check_backends() -> Iterator[Finding]:
    error = import_error('mmdense.ops')
    if error:
        yield Finding('mmdense.ops', BROKEN, error,
                      INSTALL_MMDENSE)
        return
    from mmdense.ops.backend import BACKENDS, why_unavailable
    for name in BACKENDS:
        # Without a kernel everything still runs, on the reference.
        reason = why_unavailable(name)
        yield Finding(f'ops backend {name}', NOTE if reason else OK, reason
                      or 'available')


def findings() -> Iterator[Finding]:
    """Every line of the report, in the order things depend on each other."""
    checks: list[Callable] = [
        check_python, check_torch, check_torchvision, check_numpy,
        check_setuptools, check_forks, check_mmengine, check_mmcv,
        lambda: check_host('mmdet', 'mmdet'),
        lambda: check_host('mmsegmentation', 'mmseg'), check_xtcocotools,
        lambda: check_host('mmpose', 'mmpose'),
        check_mim, check_mmdense, check_backends
    ]
    for check in checks:
        found = check()
        yield from [found] if isinstance(found, Finding) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--json', action='store_true', help='print the findings as JSON')
    args = parser.parse_args()
    # The hosts print when they are imported, into the report otherwise.
    with contextlib.redirect_stdout(sys.stderr):
        found = list(findings())
    if args.json:
        print(json.dumps([asdict(item) for item in found], indent=2))
    else:
        for item in found:
            tested = TESTED.get(item.name)
            other = (f' (tested with {tested})'
                     if item.status == OK and tested
                     and not item.detail.startswith(tested) else '')
            print(f'{item.status:7}{item.name:24}{item.detail}{other}')
            if item.remedy:
                print(f'{"":7}{"":24}mend it: {item.remedy}')
    broken = [item.name for item in found if item.status == BROKEN]
    if broken:
        sys.exit(f'broken: {", ".join(broken)}')


if __name__ == '__main__':
    main()
