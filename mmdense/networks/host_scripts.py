"""The hosts' own scripts, found by a config.

``python -m mmdense.networks.host_scripts train CONFIG ...`` is
:func:`run_host_script` in a process of its own.
"""
import importlib.util
import runpy
import sys
from pathlib import Path
from unittest import mock

from mmdense.networks import find_config, load_config

__all__ = ['host_script', 'run_host_script']


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


def run_host_script(name: str, argv: list[str], about: str) -> int:
    """Run the script of a config's host as if it had been called itself.

    Args:
        name (str): ``'train'`` or ``'test'``.
        argv (list[str]): A command line whose first word that is no option
            is the config, by path or by name.
        about (str): What ``--help`` prints.

    Returns:
        int: Exit status.
    """
    if not argv or argv[0] in ('-h', '--help'):
        print(about)
        return 0 if argv else 2
    # torch.distributed puts its --local-rank before everything else.
    at = next((k for k, word in enumerate(argv) if word[:1] != '-'), 0)
    try:
        config = str(find_config(argv[at]))
        script = str(host_script(name, config))
    except ValueError as error:
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    argv = [script, *argv[:at], config, *argv[at + 1:]]
    # In this process, which torch.distributed may have started.
    with mock.patch.object(sys, 'argv', argv):
        runpy.run_path(script, run_name='__main__')
    return 0


if __name__ == '__main__':
    sys.exit(run_host_script(sys.argv[1], sys.argv[2:], __doc__))
