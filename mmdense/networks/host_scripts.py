"""The scripts of the hosts, found from a config.

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
from mmdense.datasets.checks.data import DataWarning, config_faults
from mmdense.networks.config import find_config, load_config
from mmdense.networks.options import add_cfg_options

__all__ = ['config_at', 'data_fault', 'host_script', 'run_host_script']

CONFIGS = ('.py', '.json', '.yaml', '.yml')
# Of numpy, when mmengine puts the samples of an empty data set together.
EMPTY = 'need at least one array to concatenate'


def host_script(name: str, config: str | Path) -> Path:
    """Return the path of a script in the host of a config.

    Args:
        name (str): Name of the script, such as ``'train'`` or ``'test'``.
        config (str | Path): A config, whose ``default_scope`` is the host.

    Returns:
        Path: The script in the installed host.

    Raises:
        ValueError: If the config cannot be read or names no host, or the host
            is installed without its scripts.
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
    """Return which word of a command line is the config.

    The value of an option before it is not the config: ``--work-dir runs
    CONFIG``.

    Args:
        argv (list[str]): Command line of a host's script.

    Returns:
        int: Index of the first word that is the file or the name of a config;
        if there is none, of the word that was most likely meant.
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
    """Run the script of a config's host, as if it were called directly.

    Args:
        name (str): ``'train'`` or ``'test'``.
        argv (list[str]): A command line with the config in it, by path or by
            name.
        about (str): Text that ``--help`` prints.

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
    """Describe the data fault behind a host's error.

    Args:
        argv (list[str]): The command line of a training.
        error (Exception): The error that ended it.

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
