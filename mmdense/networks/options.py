"""``--cfg-options`` and ``--shape``, for the tools that read configs."""
import argparse

from mmengine.config import DictAction

__all__ = ['add_cfg_options', 'add_shape']


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


class _Shape(argparse.Action):
    """Two sizes, at least 1."""

    def __call__(self, parser, namespace, values, option_string=None):
        if min(values) < 1:
            parser.error(f'--shape must be two positive sizes, got {values}')
        setattr(namespace, self.dest, values)


def add_shape(parser: argparse.ArgumentParser,
              config: str = 'the config') -> None:
    """Give a tool ``--shape H W``, None without the option.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        config (str): Words for the config whose size is the default.
    """
    parser.add_argument(
        '--shape', nargs=2, type=int, metavar=('H', 'W'), action=_Shape,
        help=f'image size (default: the training size of {config})')
