"""Functions that the command lines of the tools share."""
import argparse
import functools
import sys
import warnings
from collections.abc import Callable, Sequence

__all__ = ['check_at_least_1', 'one_line_errors', 'print_error']


def check_at_least_1(parser: argparse.ArgumentParser,
                     args: argparse.Namespace, *names: str) -> None:
    """End the program with the parser's error if an option is below 1."""
    for name in names:
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got '
                         f'{getattr(args, name)}')


def print_error(error: object) -> None:
    """Print ``error: MESSAGE`` to the standard error, in one line."""
    print(f'error: {" ".join(str(error).split())}', file=sys.stderr)


def one_line_errors(main: Callable) -> Callable:
    """Wrap ``main`` to print an error as one line.

    The hosts' warnings about optional packages are left out: they do not
    concern what a tool prints.

    Args:
        main (Callable): Takes the words of the command line, None for those
            of the process, and returns the exit status.

    Returns:
        Callable: The same. A ``ValueError`` or ``OSError`` in it is printed
        to the standard error as one line, and the exit status is 2.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                return main(argv)
            except (ValueError, OSError) as error:
                print_error(error)
                return 2

    return run
