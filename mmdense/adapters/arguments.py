"""Checks of what configs say, where a host would fail without a name."""
from collections.abc import Iterable

from mmdense.arguments import check_positive, check_sequence


def check_positives(**lists) -> None:
    """Refuse what is no list or tuple of positive integers.

    Args:
        **lists: Each under its argument's name.

    Raises:
        TypeError: If one is no list, or holds what is no integer.
        ValueError: If it holds one below 1.
    """
    check_sequence(**lists)
    for name, values in lists.items():
        check_positive(**{f'{name}[{i}]': v for i, v in enumerate(values)})


def check_options(**options) -> None:
    """Refuse what is no dict.

    Args:
        **options: Each under its argument's name.

    Raises:
        TypeError: If one is anything else.
    """
    for name, value in options.items():
        if not isinstance(value, dict):
            raise TypeError(
                f'{name} wants a dict, got {type(value).__name__}')


def check_config(kinds: Iterable[str] | None = None, **configs) -> None:
    """Refuse what is no config of something to build.

    Args:
        kinds (Iterable[str], optional): What ``type`` may be; None leaves
            that to a registry.
        **configs: Each under its argument's name.

    Raises:
        TypeError: If one is no dict.
        ValueError: If its ``type`` is missing or none of ``kinds``.
    """
    check_options(**configs)
    for name, config in configs.items():
        if kinds is None and 'type' not in config:
            raise ValueError(f'{name} wants a type, got {config}')
        # A list, to be searched for what has no hash, too.
        if kinds is not None and config.get('type') not in list(kinds):
            raise ValueError(f'{name} wants a type out of {sorted(kinds)}, '
                             f'got {config.get("type")!r}')
