"""The hosts' own scripts, found by a config.

``python -m mmdense.networks.host_scripts train CONFIG ...`` is
:func:`run_host_script` in a process of its own.
"""
import argparse
import importlib.util
import json
import runpy
import sys
from pathlib import Path
from unittest import mock

from mmdense.command_line import print_error
from mmdense.engine.data_check import DataWarning, config_faults
from mmdense.networks.config import find_config, load_config
from mmdense.networks.options import add_cfg_options

__all__ = ['config_at', 'data_fault', 'host_script', 'run_host_script']

CONFIGS = ('.py', '.json', '.yaml', '.yml')
# Of numpy, when mmengine puts the samples of an empty data set together.
EMPTY = 'need at least one array to concatenate'


def host_script(name: str, config: str | Path) -> Path:
    """Where the host of a config keeps a script.

    Args:
        name (str): ``'train'`` or ``'test'``, say.
        config (str | Path): Its ``default_scope`` is the host.

    Returns:
        Path: In the installed host.

    Raises:
        ValueError: If the config cannot be read, names no host, or the host
            came without its scripts.
    """
    scope = load_config(config).get('default_scope')
    if scope is None:
        raise ValueError(f'{config} has no default_scope, which names its '
                         'host')
    package = Path(importlib.util.find_spec(scope).origin).parent
    script = package / '.mim' / 'tools' / f'{name}.py'
    if not script.is_file():
        raise ValueError(f'{scope} is installed without its scripts ({script} '
                         'is not there): install it from its wheel, or run '
                         f'tools/{name}.py of its checkout')
    return script


def config_at(argv: list[str]) -> int:
    """Which word of a command line is the config.

    An option's value, which may come before it, is none: ``--work-dir runs
    CONFIG``.

    Args:
        argv (list[str]): Of a host's script.

    Returns:
        int: Of the first word that is a config's file or name; where there is
        none, of the one that was meant to be.
    """
    words = [k for k, word in enumerate(argv)
             if word[:1] != '-' and '=' not in word]
    for k in words:
        if not Path(argv[k]).is_file() or argv[k].endswith(CONFIGS):
            try:
                find_config(argv[k])
                return k
            except ValueError:
                continue
    named = [k for k in words if argv[k].endswith(CONFIGS)]
    return next(iter(named + words), 0)


def run_host_script(name: str, argv: list[str], about: str) -> int:
    """Run the script of a config's host as if it had been called itself.

    Args:
        name (str): ``'train'`` or ``'test'``.
        argv (list[str]): A command line with the config in it, by path or by
            name.
        about (str): What ``--help`` prints.

    Returns:
        int: Exit status.
    """
    if not argv or argv[0] in ('-h', '--help'):
        print(about)
        return 0 if argv else 2
    at = config_at(argv)
    try:
        config = str(find_config(argv[at]))
        script = str(host_script(name, config))
    except ValueError as error:
        print_error(error)
        return 2
    # What came before goes behind: an option of several values would take
    # the config for one of them.
    argv = [script, config, *argv[at + 1:], *argv[:at]]
    # In this process, which torch.distributed may have started.
    with mock.patch.object(sys, 'argv', argv):
        runpy.run_path(script, run_name='__main__')
    return 0


def data_fault(argv: list[str], error: Exception) -> str | None:
    """What a host's error about data leaves out: which file.

    Args:
        argv (list[str]): The command line of a training.
        error (Exception): What ended it.

    Returns:
        str | None: The first fault of its data; None for other errors.
    """
    if not isinstance(error, json.JSONDecodeError) and EMPTY not in str(error):
        return None
    parser = argparse.ArgumentParser(add_help=False)
    add_cfg_options(parser)
    options, _ = parser.parse_known_args(argv)
    config = load_config(argv[config_at(argv)], options.cfg_options)
    for loader in ('train_dataloader', 'val_dataloader'):
        for fault in config_faults(config, loader) if config.get(
                loader) else ():
            if not isinstance(fault, DataWarning):
                return fault
    return None


if __name__ == '__main__':
    sys.exit(run_host_script(sys.argv[1], sys.argv[2:], __doc__))
