"""Every command of every page is one that its program takes.

Bash itself reads a page's blocks, so that loops, variables, continued lines
and here-documents mean here what they mean to a reader; it finds no program,
and says which it was to call with what. The words are then parsed, not run, by
whom they are for. What is written in CAPITALS a reader fills in.
"""
import ast
import functools
import importlib.util
import pkgutil
import re
import runpy
import subprocess
import sys
import tempfile
import types
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch

from mmdense import predicting
from mmdense.analysis import evidence
from mmdense.config_path import config_path
from mmdense.networks import build_model, load_config
from mmdense.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / 'README.md'
PAGES = [
    README, ROOT / 'tools' / 'README.md', ROOT / 'tests' / 'README.md',
    *sorted(ROOT.glob('configs/**/*.md')),
    *sorted(ROOT.glob('mmdense/**/README.md'))
]
TOOLS = sorted((ROOT / 'tools').glob('*.py'))
HOSTS = 'mmpose', 'mmseg', 'mmdet'
SCRIPTS = sorted((ROOT / 'tools').glob('*.sh'))
# Nothing of this repository can break these.
FOREIGN = ('git', 'pip', 'wget')
LISTEN = r'''
cd() { :; }
command_not_found_handle() {
    # Without a script these read what they run.
    case "$1 $2" in
    'python ' | 'python -' | 'bash ' | 'bash -' | 'bash -s')
        IFS= read -r -d '' typed
        set -- "$1" - "$typed"
        ;;
    esac
    printf '%s\0' "$@" '' >>"$HEARD"
    echo PRINTED
}
'''


def blocks(text, language):
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def spans(text):
    """What stands between backticks in a page's prose."""
    prose = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    return [' '.join(span.split()) for span in re.findall(r'`([^`]+)`', prose)]


def written_commands(text):
    """Bash that holds a page's commands, or those of a tool's docstring."""
    yield from blocks(text, 'bash')
    for span in spans(text):
        # `mim test` and `python tools/doctor.py` are names, no commands.
        if re.match(r'(python \S+ |mim \S+ \S+ |bash )\S', span):
            yield span
        tool = re.match(r'(\w+\.py) ', span)
        if tool and (ROOT / 'tools' / tool[1]).is_file():
            yield f'python tools/{span}'
        # Of any config.
        if re.match(r'tools/\w+\.py --', span):
            yield f'python {span} CONFIG'
    for line in re.findall(r'^    (python (?:.*\\\n)*.*)', text, re.M):
        # Some say beside a command what it does.
        yield re.sub(r'(?<=\S) {3,}.*', '', line)


def commands_of(text, folder):
    """The words of each command, as a program would get them."""
    heard = folder / 'heard'
    heard.write_bytes(b'')
    done = subprocess.run(
        ['/bin/bash', '-c', '\n'.join([LISTEN, *written_commands(text)])],
        cwd=folder, env=dict(PATH='/nowhere', HEARD=str(heard)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return [one.split('\0') for one in heard.read_text().split('\0\0') if one]


def first_lines(path):
    return ast.get_docstring(ast.parse(path.read_text())) or ''


CONFIGS = [path for path in sorted(ROOT.glob('configs/**/*.py'))
           if any(written_commands(first_lines(path)))]


class ParsedError(Exception):
    """The command line was taken."""


def assert_parses(main, words):
    """Let a program read its command line, and stop it there."""
    parse = ArgumentParser.parse_args

    def parse_and_stop(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['program', *words])
        patch.setattr(ArgumentParser, 'parse_args', parse_and_stop)
        with pytest.raises(ParsedError):
            main()


@functools.cache
def main_of(tool):
    path = ROOT / 'tools' / f'{tool}.py'
    spec = importlib.util.spec_from_file_location(f'readme_{tool}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@functools.cache
def parse_args_of(host, script):
    """Of the train.py or test.py that a host comes with."""
    package = Path(pytest.importorskip(host).__file__).parent
    path = package / '.mim' / 'tools' / f'{script}.py'
    return runpy.run_path(str(path))['parse_args']


def is_filled_in(word):
    return re.fullmatch(r'[A-Z][A-Z_0-9.]*', Path(word).stem) is not None


def check_host_script(host, script, words):
    """`train` and `test`; without a host, that of the config."""
    config = words[0]
    if not is_filled_in(config):
        # The folder nearest to the file: a checkout may lie anywhere.
        parents = [path.name for path in config_path(config).parents]
        host = host or next(name for name in parents if name in HOSTS)
    assert_parses(parse_args_of(host or 'mmpose', script), words)


def check_tool(tool, words):
    if tool in ('train', 'test'):
        check_host_script(None, tool, words)
    else:
        if tool == 'evidence' and not (words[0].startswith('-')
                                       or is_filled_in(words[0])):
            evidence.pick(evidence.comparisons(ROOT / 'configs'), words[0])
        assert_parses(main_of(tool), words)
        if tool == 'make_data':
            draw_two(*words)


def draw_two(kind, out, *words):
    """What it draws is not for its parser to know: an image of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        main_of('make_data')([
            kind, f'{folder}/set', *words, '--train', '1', '--val', '1',
            '--workers', '1'
        ])


def check_mim(command, *words):
    module = pytest.importorskip(f'mim.commands.{command}')
    given = module.cli.make_context(command, list(words)).params
    package, others = given['package'], given['other_args']
    if command == 'run':
        assert package == 'mmdense', 'only tools of ours are checked'
        check_tool(given['command'], others)
        return
    checkpoint = [given['checkpoint']] if given.get('checkpoint') else []
    check_host_script(None if package == 'mmdense' else package, command,
                      [given['config'], *checkpoint, *others])


def check_source(source):
    """It parses, and what it imports is there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split('.')[0] in HOSTS:
                pytest.importorskip(name.split('.')[0])
            pkgutil.resolve_name(name)


def check_python(script, *words):
    if script in ('-c', '-'):
        check_source(words[0])
    elif script == '-m' and words[0] == 'pip':
        pass  # as FOREIGN
    elif script == '-m' and words[0] == 'pdoc':
        for package in words[words.index('-o') + 2:]:
            assert importlib.util.find_spec(package), package
    elif script == '-m' and words[:2] == ('mmdense', 'predict'):
        assert_parses(predicting.main, words[2:])
        assert is_filled_in(words[2]) or config_path(words[2])
    elif script == '-m':
        assert words[:2] == ('mmdense', 'path')
        assert is_filled_in(words[2]) or config_path(words[2])
    else:
        assert Path(script).parts[0] == 'tools'
        check_tool(Path(script).stem, words)


def check(program, *words):
    for word in words:
        if re.match(r'(configs|tools|tests|requirements)/', word):
            wanted = str(Path(word).parent) if is_filled_in(word) else word
            assert any(ROOT.glob(wanted)), word
        host, colons, name = word.partition('::')
        if colons and host in HOSTS and not is_filled_in(name):
            package = Path(pytest.importorskip(host).__file__).parent
            assert (package / '.mim' / 'configs' / name).is_file()
    if program == 'python':
        check_python(*words)
    elif program == 'bash':
        assert Path(words[0]).parts[0] == 'tools'
        if '--stack' in words:
            stack = words[words.index('--stack') + 1]
            assert is_filled_in(stack) or (
                ROOT / f'requirements/stacks/{stack}.txt').is_file()
    elif program == 'mim':
        check_mim(*words)
    elif program == 'torchrun':
        from torch.distributed.run import get_args_parser
        get_args_parser().parse_args(words)
    else:
        assert program in FOREIGN, 'nobody checks this program'


FAULTS = (AssertionError, AttributeError, ImportError, OSError, SyntaxError,
          SystemExit, ValueError)


def check_commands(text, folder):
    for words in commands_of(text, folder):
        try:
            check(*words)
        except FAULTS as error:
            pytest.fail(f'{" ".join(words)}: {error!r}', pytrace=False)


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_the_commands_of_a_page_are_taken(page, tmp_path):
    check_commands(page.read_text(), tmp_path)


@pytest.mark.parametrize('path', TOOLS, ids=name_of)
def test_the_commands_in_a_tools_docstring_are_taken(path, tmp_path):
    check_commands(first_lines(path), tmp_path)


@pytest.mark.parametrize('path', SCRIPTS, ids=name_of)
def test_the_commands_in_a_scripts_comments_are_taken(path, tmp_path):
    text = re.sub('^# ?', '', path.read_text(), flags=re.M)
    check_commands('\n'.join(f'`{s}`' for s in spans(text)), tmp_path)


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_the_commands_in_a_configs_first_lines_are_taken(path, tmp_path):
    check_commands(first_lines(path), tmp_path)


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_every_block_of_a_page_is_of_a_kind_that_is_checked(page):
    fences = re.findall('^ *(?:```|~~~)(.*)', page.read_text(), re.M)
    assert set(fences[::2]) <= {'bash', 'python', 'bibtex', ''}
    assert set(fences[1::2]) <= {''}


@pytest.mark.parametrize('lines', [
    'python tools/complexity.py CONFIG --compair',
    'python -m mmdense predict CONFIG CHECKPOINT IMAGES --boxen',
    'python tools/make_data.py pose data/pose --difficulty nothing',
    'python tools/evidence.py heads-camvit',
    'mim train mmpose configs/mmpose/flattenet/nothing.py',
    'mim test mmpose CONFIG --checkpoint CHECKPOINT --tta_',
    'python -c "import mmdense.nothing"',
    'python -c "from mmdense.ops import nothing"',
    'python - <<END\nprint(\nEND',
    'python <<END\nfrom mmdense.ops import nothing\nEND',
    'python tools/benchmark_networks.py mmpose::nothing.py B',
    'bash tools/check.sh --stack numpy0',
    'for i in 1 2; do python tools/nothing.py; done',
    'unheard-of',
    'unclosed "',
])
def test_a_wrong_command_is_found(lines, tmp_path):
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        check_commands(f'```bash\n{lines}\n```\n', tmp_path)


def test_a_here_document_is_read(tmp_path):
    text = '```bash\npython - <<END\nimport mmdense\nEND\n```\n'
    assert commands_of(text, tmp_path) == [['python', '-', 'import mmdense\n']]
    check_commands(text, tmp_path)


def test_the_page_of_the_tools_lists_every_tool():
    page = ROOT / 'tools' / 'README.md'
    listed = {span.split()[0] for span in spans(page.read_text())}
    assert {path.name for path in TOOLS} - listed == set()


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_the_links_and_python_of_a_page_hold(page):
    text = page.read_text()
    for link in re.findall(r'\]\((?!https?:|#)([^)#]+)', text):
        assert (page.parent / link).exists(), link
    for code in blocks(text, 'python'):
        ast.parse(code)
    source = '\n'.join([
        *(path.read_text() for path in ROOT.glob('mmdense/**/*.py')),
        *blocks(text, 'python')
    ])
    registered = re.findall(
        r"^class (\w+)|register_module\('(\w+)'\)", source, re.M)
    assert set(re.findall(r"'mmdense\.(\w+)'", text)) <= {
        *HOSTS, *(name for pair in registered for name in pair)}


def test_the_way_from_a_figure_to_a_module_can_be_gone(tmp_path, monkeypatch):
    pytest.importorskip('mmpose')
    way = (ROOT / 'mmdense' / 'README.md').read_text().split(
        '\n## From a paper')[1]
    module, test, neck, config = blocks(way, 'python')
    gate = types.ModuleType('mmdense.modules.channel_gate')
    exec(module, gate.__dict__)
    monkeypatch.setitem(sys.modules, gate.__name__, gate)
    tests = {}
    exec(test, tests)
    tests['test_a_channel_is_weighed_by_its_mean']()
    # What is registered below goes again; all else has to be there by then.
    MODELS.import_from_location()
    for registry in (MODELS, MODELS.parent):
        monkeypatch.setattr(
            registry, '_module_dict', dict(registry.module_dict))
    exec(neck, dict(__name__='channel_gate_neck'))
    path = tmp_path / 'config.py'
    path.write_text(config)
    model = build_model(load_config(path)).eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 32), None, mode='tensor')
    assert maps.shape == (1, 17, 16, 8)
    assert model.neck.gate.scale.numel() == 2048
