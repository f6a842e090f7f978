"""What the tools' command lines have in common."""
import ast
import warnings
from pathlib import Path

import pytest

from mmdense.command_line import one_line_errors

ROOT = Path(__file__).resolve().parents[1]
TOOLS = sorted((ROOT / 'tools').glob('*.py'))
# Some take options from the library.
SOURCES = [*TOOLS, *(path for path in sorted((ROOT / 'mmdense').rglob('*.py'))
                     if 'add_argument(' in path.read_text())]


@pytest.mark.parametrize('error', [
    ValueError('--size must be\nat least 1, got 0'),
    FileNotFoundError(2, 'No such file', 'x.json')])
def test_a_wrong_argument_or_file_ends_in_one_line(error, capsys):

    @one_line_errors
    def main(argv=None):
        raise error

    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith('error: ') and said.count('\n') == 1


def test_a_fault_of_ours_keeps_its_traceback():

    @one_line_errors
    def main(argv=None):
        raise KeyError('a')

    with pytest.raises(KeyError):
        main([])


def test_status_and_words_are_passed_on_and_warnings_left_out():

    @one_line_errors
    def main(argv=None):
        warnings.warn('an optional package is missing', stacklevel=1)
        return len(argv)

    with warnings.catch_warnings(record=True) as said:
        assert main(['a', 'b', 'c']) == 3
    assert not said


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.name)
def test_no_tool_prints_its_errors_itself(tool):
    assert "print(f'error: {" not in tool.read_text()


def unexplained(source: str) -> list[str]:
    """Return the arguments of command lines that have no help."""
    calls = (node for node in ast.walk(ast.parse(source))
             if isinstance(node, ast.Call)
             and isinstance(node.func, ast.Attribute)
             and node.func.attr in ('add_argument', 'add_parser'))
    return [ast.unparse(call.args[0]) for call in calls if not any(
        word.arg == 'help' and ast.unparse(word.value) not in ("''", 'None')
        for word in call.keywords)]


@pytest.mark.parametrize(
    'source', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_argument_says_what_it_is(source):
    assert unexplained(source.read_text()) == []


def test_an_argument_without_help_is_found():
    assert unexplained("parser.add_argument('--seed', type=int)\n"
                       "parser.add_argument('--out', help='a folder')\n"
                       "parser.add_argument('x', help='')") == [
                           "'--seed'", "'x'"]
