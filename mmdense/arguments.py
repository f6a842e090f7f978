"""Checks of arguments, whose errors name the argument."""
import math
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from torch import SymInt, Tensor

KINDS = dict(b='bool', i='int', u='unsigned int', f='float')


def check_positive(**sizes) -> None:
    """Raise unless every argument is a positive integer.

    Args:
        **sizes: Each under its argument's name.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is below 1.
    """
    check_at_least(1, **sizes)


def check_at_least(least: int, **sizes) -> None:
    """Raise unless every argument is an integer of at least ``least``.

    Args:
        least (int): Smallest value that is allowed.
        **sizes: Each under its argument's name.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is smaller than ``least``.
    """
    for name, size in sizes.items():
        # The sizes of an exported map are no integers yet.
        if not isinstance(size, (Integral, SymInt)):
            raise TypeError(
                f'{name} must be an integer, got {type(size).__name__}')
        if size < least:
            raise ValueError(f'{name} must be at least {least}, got {size}')


def check_share(**shares) -> None:
    """Raise unless every argument is a number from 0 to 1.

    Args:
        **shares: Each under its argument's name.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is below 0 or above 1.
    """
    for name, share in shares.items():
        if not isinstance(share, Real):
            raise TypeError(
                f'{name} must be a number, got {type(share).__name__}')
        if not 0 <= share <= 1:
            raise ValueError(f'{name} must be from 0 to 1, got {share}')


def check_positive_number(**numbers) -> None:
    """Raise unless every argument is a finite number above 0.

    Args:
        **numbers: Each under its argument's name.

    Raises:
        ValueError: If an argument is anything else.
    """
    for name, value in numbers.items():
        if not isinstance(value, Real) or not 0 < value < math.inf:
            raise ValueError(
                f'{name} must be a positive number, got {value!r}')


def check_spread(**spreads) -> None:
    """Raise unless every argument is a finite number of at least 0.

    Args:
        **spreads: Standard deviations, each under its argument's name.

    Raises:
        ValueError: If an argument is anything else.
    """
    for name, value in spreads.items():
        if not isinstance(value, Real) or not 0 <= value < math.inf:
            raise ValueError(f'{name} must be at least 0, got {value!r}')


def check_pair(size, least: int, name: str) -> None:
    """Raise unless ``size`` is an integer or two: rows, columns.

    Args:
        size (int | tuple[int, int]): The value to check.
        least (int): Smallest value that is allowed.
        name (str): Name of the argument, for the message.

    Raises:
        ValueError: If ``size`` is anything else.
    """
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(
            isinstance(v, Integral) and v >= least for v in pair):
        raise ValueError(f'{name} must be one or two integers of at least '
                         f'{least}, got {size!r}')


def check_sequence(**sequences) -> None:
    """Raise unless every argument is a list or a tuple.

    Args:
        **sequences: Each under its argument's name.

    Raises:
        TypeError: If an argument is anything else.
    """
    for name, value in sequences.items():
        if not isinstance(value, (tuple, list)):
            raise TypeError(
                f'{name} must be a list or a tuple, '
                f'got {type(value).__name__}')


def check_size(size, name: str = 'size') -> None:
    """Raise unless ``size`` is a height and a width.

    Args:
        size (tuple[int, int]): The value to check.
        name (str): Name of the argument, for the message.

    Raises:
        ValueError: If it is not two integers of at least 1.
    """
    if not isinstance(size, (tuple, list)) or len(size) != 2 or not all(
            isinstance(v, (Integral, SymInt)) and v >= 1 for v in size):
        raise ValueError(
            f'{name} must be a height and a width of at least 1, '
            f'got {size!r}')


def check_array(x: np.ndarray, axes: int | None, kinds: str,
                name: str) -> None:
    """Raise unless ``x`` is an array with these axes and this dtype.

    Args:
        x (np.ndarray): The value to check.
        axes (int, optional): Number of axes; None allows any.
        kinds (str): Kinds of dtype that are allowed, as numpy's letters: keys
            of ``KINDS``.
        name (str): Name of the argument, for the message.

    Raises:
        TypeError: If ``x`` is not an array, or has another dtype.
        ValueError: If ``x`` has another number of axes.
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind not in kinds:
        got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f'{name} must be an array of '
                        f'{" or ".join(KINDS[k] for k in kinds)}, got {got}')
    if axes not in (None, x.ndim):
        raise ValueError(
            f'{name} must have {axes} axes, got shape {x.shape}')


def check_axes(x: Tensor, name: str = 'x') -> None:
    """Raise unless ``x`` is a tensor (N, C, H, W), of any dtype.

    Raises:
        TypeError: If ``x`` is not a tensor.
        ValueError: If ``x`` has another number of axes.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f'{name} must be a tensor, got {type(x).__name__}')
    if x.dim() != 4:
        raise ValueError(f'{name} must have shape (N, C, H, W), '
                         f'got {tuple(x.shape)}')


def check_map(x: Tensor, channels: int | None, name: str = 'x') -> None:
    """Raise unless ``x`` is a feature map with ``channels`` channels.

    Args:
        x (Tensor): The input of a module.
        channels (int, optional): Number of channels; None allows any.
        name (str): Name of the argument, for the message.

    Raises:
        TypeError: If ``x`` is not a floating point tensor.
        ValueError: If ``x`` is not (N, channels, H, W) with at least one
            pixel.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f'{name} must be a floating point tensor, got {got}')
    if x.dim() != 4 or 0 in x.shape[1:] or channels not in (None, x.shape[1]):
        raise ValueError(f'{name} must have shape (N, {channels or "C"}, H, '
                         f'W) with at least one pixel, got {tuple(x.shape)}')


def check_positives(**lists) -> None:
    """Raise unless every argument is a list of positive integers.

    Args:
        **lists: Each under its argument's name.

    Raises:
        TypeError: If an argument is not a list, or holds anything but
            integers.
        ValueError: If a list holds an integer below 1.
    """
    check_sequence(**lists)
    for name, values in lists.items():
        check_positive(**{f'{name}[{i}]': v for i, v in enumerate(values)})


def check_options(**options) -> None:
    """Raise unless every argument is a dict.

    Args:
        **options: Each under its argument's name.

    Raises:
        TypeError: If an argument is anything else.
    """
    for name, value in options.items():
        if not isinstance(value, dict):
            raise TypeError(
                f'{name} must be a dict, got {type(value).__name__}')


def check_config(kinds: Iterable[str] | None = None, **configs) -> None:
    """Raise unless every argument is a config with a ``type``.

    Args:
        kinds (Iterable[str], optional): Allowed values of ``type``; None
            allows any.
        **configs: Each under its argument's name.

    Raises:
        TypeError: If an argument is not a dict.
        ValueError: If ``type`` is missing or is not one of ``kinds``.
    """
    check_options(**configs)
    for name, config in configs.items():
        if kinds is None and 'type' not in config:
            raise ValueError(f'{name} must have a type, got {config}')
        # A list, to be searched for what has no hash, too.
        if kinds is not None and config.get('type') not in list(kinds):
            raise ValueError(
                f'{name} must have a type out of {sorted(kinds)}, '
                f'got {config.get("type")!r}')


def check_maps(in_channels, in_index) -> None:
    """Raise for channels and indices that a head of mmseg cannot use.

    Args:
        in_channels (Sequence[int]): Channels of the maps.
        in_index (Sequence[int]): Indices of these maps among the outputs of
            the backbone.

    Raises:
        TypeError: If an argument is not a list of integers.
        ValueError: If a channel number is below 1, there is no map, or the two
            lists differ in length.
    """
    check_positives(in_channels=in_channels)
    check_sequence(in_index=in_index)
    for k, index in enumerate(in_index):
        check_at_least(-math.inf, **{f'in_index[{k}]': index})
    if not in_channels:
        raise ValueError('in_channels must have at least one map, got none')
    if len(in_index) != len(in_channels):
        raise ValueError(
            f'in_index must have {len(in_channels)} maps, one for each of '
            f'in_channels, got {len(in_index)}')
