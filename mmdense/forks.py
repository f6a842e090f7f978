"""Support for maintained forks of the hosts."""
import importlib.util
from importlib.metadata import PackageNotFoundError, distribution

from mmengine.config.utils import MODULE2PACKAGE

__all__ = ['find_bases_in_forks']


def find_bases_in_forks() -> None:
    """Let ``_base_ = 'mmseg::...'`` find a fork of mmsegmentation.

    mmengine looks a base's package up as a distribution and, where there is
    none, as a module of the same name. mmsegmentation's module has another
    name, so a fork of it, a distribution of yet another, would not be found.
    Where the original is installed nothing changes.
    """
    try:
        distribution('mmsegmentation')
    except PackageNotFoundError:
        if importlib.util.find_spec('mmseg') is not None:
            MODULE2PACKAGE['mmseg'] = 'mmseg'
