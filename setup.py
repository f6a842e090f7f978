"""Builds mmdense's CPU kernels where that can be done, and its .mim folder.

The kernels need torch while building (`--no-build-isolation`) and a C++
compiler. Without either, mmdense installs all the same and computes with
plain PyTorch; the build's output and the first use of an operator say so.
"""
import re
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
# What `mim train mmdense`, `mim run mmdense` and `python -m mmdense path`
# find in an installed package.
MIM = ('configs', 'tools', 'model-index.yml')
KERNEL_SOURCES, KERNEL_HEADERS = (
    sorted(
        str(path.relative_to(ROOT))
        for path in ROOT.glob(f'mmdense/ops/*/*.{suffix}'))
    for suffix in ('cpp', 'h'))


def say(message: str) -> None:
    # Seen with `pip install -v`, and in the log of a failed installation.
    print(f'\n*** mmdense: {message}\n', file=sys.stderr, flush=True)


class BuildWithMim(build_py):
    """Adds the .mim folder: files in a wheel, links in a checkout."""

    def run(self):
        super().run()
        if not self.distribution.ext_modules:
            say('installing WITHOUT the CPU kernels, torch does not import '
                'here. To get them, install torch first and use `pip install '
                '--no-build-isolation`.')
        if self.editable_mode:
            link_mim()
            return
        folder = Path(self.build_lib) / 'mmdense' / '.mim'
        # What a former build left there may have been deleted or renamed.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for source in mim_sources():
            copy(source, folder / source.name)


class SdistWithMim(sdist):
    """Takes along what building from the archive needs."""

    def make_release_tree(self, base_dir, files):
        files = set(files)
        for source in [*mim_sources(), ROOT / 'requirements']:
            inside = source.rglob('*') if source.is_dir() else [source]
            files.update(
                str(path.relative_to(ROOT)) for path in inside
                if path.is_file() and '__pycache__' not in path.parts)
        # Known to setuptools only where torch is there.
        files.update(KERNEL_SOURCES + KERNEL_HEADERS)
        super().make_release_tree(base_dir, sorted(files))


def mim_sources() -> list[Path]:
    return [ROOT / name for name in MIM if (ROOT / name).exists()]


def link_mim() -> None:
    folder = ROOT / 'mmdense' / '.mim'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for source in mim_sources():
        target = folder / source.name
        try:
            target.symlink_to(Path('..', '..', source.name),
                              source.is_dir())
        except OSError:  # Windows without the right to make links
            copy(source, target)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy2(source, target)


def kernels() -> dict:
    """What setup() needs to build the CPU kernels; nothing without torch."""
    try:
        import torch
        from torch.utils.cpp_extension import BuildExtension, CppExtension
    except ImportError:
        return {}
    # mmdense/ops/backend.py loads the library of its own torch and Python
    # alone, and knows it by this name.
    name = '_C_torch_' + re.sub(r'\W', '_', torch.__version__)

    class BuildKernels(BuildExtension):
        """A failed build costs the kernels, not the installation."""

        def run(self):
            try:
                super().run()
            except Exception as error:
                # Who runs `setup.py build_ext` wants nothing but these.
                if 'build_ext' in sys.argv:
                    raise
                self.extensions = []
                say('installing WITHOUT the CPU kernels, building them '
                    f'failed: {error} (see above). They need a C++ compiler '
                    '(Debian: apt install g++); CXX names another than c++.')
            else:
                say('the CPU kernels are built.')

    # No -march: a wheel must run on other machines than this one, so the
    # kernels choose their instruction set when they run. OpenMP's library is
    # not linked: torch has loaded one, and two would fight for the cores.
    # Compilers may compute both sides of a choice: nobody reads the flags that
    # an operation on a value that is not taken leaves.
    flags = ['-O3', '-g0', '-fno-trapping-math']
    # Objects of another torch would be taken for up to date.
    macros = [('MMDENSE_BUILT_FOR', name)]
    if sys.platform == 'linux':
        flags.append('-fopenmp')
    elif sys.platform == 'win32':
        flags = ['/O2']
    extension = CppExtension(
        f'mmdense.ops.{name}',
        KERNEL_SOURCES,
        define_macros=macros,
        depends=KERNEL_HEADERS,
        extra_compile_args=flags)
    return dict(
        ext_modules=[extension], cmdclass=dict(build_ext=BuildKernels))


if __name__ == '__main__':
    found = kernels()
    setup(
        license='Apache-2.0',
        ext_modules=found.get('ext_modules', []),
        cmdclass=dict(
            build_py=BuildWithMim,
            sdist=SdistWithMim,
            **found.get('cmdclass', {})))
