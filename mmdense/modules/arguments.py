"""Checks that name the argument, where torch would fail deep inside."""
from numbers import Integral

from torch import Tensor


def check_positive(**sizes) -> None:
    """Refuse sizes that are no positive integers.

    Args:
        **sizes: Each under its argument's name.

    Raises:
        TypeError: If one is no integer.
        ValueError: If one is below 1.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral):
            raise TypeError(
                f'{name} wants an integer, got {type(size).__name__}')
        if size < 1:
            raise ValueError(f'{name} wants at least 1, got {size}')


def check_pair(size, least: int, name: str) -> None:
    """Refuse what is not one or two integers, for rows and columns.

    Args:
        size (int | tuple[int, int]): What was given.
        least (int): Smallest that will do.
        name (str): Of the argument.

    Raises:
        ValueError: If it is anything else.
    """
    pair = size if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(
            isinstance(v, Integral) and v >= least for v in pair):
        raise ValueError(f'{name} wants one or two integers of at least '
                         f'{least}, got {size!r}')


def check_axes(x: Tensor, name: str = 'x') -> None:
    """Refuse what is no tensor (N, C, H, W), of whatever dtype.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If it has another number of axes.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f'{name} wants a tensor, got {type(x).__name__}')
    if x.dim() != 4:
        raise ValueError(f'{name} wants (N, C, H, W), got {tuple(x.shape)}')


def check_map(x: Tensor, channels: int | None, name: str = 'x') -> None:
    """Refuse what is no feature map of so many channels.

    Args:
        x (Tensor): What a module was given.
        channels (int, optional): What it was built for; None takes any.
        name (str): Of the argument.

    Raises:
        TypeError: If it is no floating point tensor.
        ValueError: If it is not (N, channels, H, W) with at least one pixel.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f'{name} wants a floating point tensor, got {got}')
    if x.dim() != 4 or 0 in x.shape[1:] or channels not in (None, x.shape[1]):
        raise ValueError(f'{name} wants (N, {channels or "C"}, H, W) with at '
                         f'least one pixel, got {tuple(x.shape)}')
