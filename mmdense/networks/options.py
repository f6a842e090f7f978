"""``--cfg-options``, for every tool that reads configs."""
import argparse

from mmengine.config import DictAction

__all__ = ['add_cfg_options']


class _Changes(DictAction):
    """mmengine's action, but a wrong value ends the program."""

    def __call__(self, parser, namespace, values, option_string=None):
        for value in values:
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (ValueError, AssertionError):  # no '='; a bracket left open
                parser.error(f'--cfg-options must be KEY=VALUE, got {value!r}')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Give a tool ``--cfg-options KEY=VALUE ...``, as the hosts' scripts have.

    The result is a dict for :func:`mmdense.networks.load_config`, empty
    without the option.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=_Changes, default={},
        metavar='KEY=VALUE',
        help="changes to the config, as in the host's train.py")
