"""A line of the package imports from its own level or a smaller number."""
import ast
from pathlib import Path

import pytest

import mmdense

ROOT = Path(mmdense.__file__).parent
LEVELS = dict(
    version=0,
    config_path=0,
    arguments=0,
    command_line=0,
    ops=1,
    modules=2,
    metrics=2,
    checkpoints=2,
    forks=2,
    registry=3,
    datasets=4,
    engine=5,
    adapters=6,
    mmpose=7,
    mmseg=7,
    mmdet=7,
    networks=8,
    analysis=9,
    predicting=10,
    __init__=11,
    __main__=11)
# Nothing reaches these. `locations` imports every host that is there.
DOORS = ('__init__', '__main__', 'locations')
# What `import mmdense` runs: no other module until a function is called.
LIGHT = ('__init__', '__main__', 'predicting')
HOSTS = ('mmpose', 'mmseg', 'mmdet')
# What each part may take from OpenMMLab; a host's folder also takes its host,
# and what lies above the hosts takes them all.
ALLOWED = dict.fromkeys(LEVELS, ()) | dict.fromkeys(
    ('checkpoints', 'forks', 'registry', 'datasets', 'engine'),
    ('mmengine', )) | dict.fromkeys(('adapters', *HOSTS),
                                    ('mmengine', 'mmcv')) | dict.fromkeys(
                                        ('networks', 'analysis'),
                                        ('mmengine', 'mmcv', *HOSTS))


def imports_of(source: str) -> list[str]:
    """Absolute module names imported anywhere in ``source``.

    Also by ``import_module('...')``; of an f-string, what stands before its
    first value, with ``*`` for the rest.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'relative import: name the module whole'
            if node.module == 'mmdense':
                names += [f'mmdense.{alias.name}' for alias in node.names]
            else:
                names.append(node.module)
        elif isinstance(node, ast.Call) and 'import_module' in ast.unparse(
                node.func):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                names.append(name.value)
            elif isinstance(name, ast.JoinedStr) and isinstance(
                    name.values[0], ast.Constant):
                names.append(f'{name.values[0].value}*')
    return names


def violations(part: str, source: str) -> list[str]:
    """What ``source``, living in ``mmdense.<part>``, must not import."""
    level, found = LEVELS[part], []
    for name in imports_of(source):
        package, _, rest = name.partition('.')
        if package == 'mmdense' and rest:
            target = rest.split('.')[0]
            if target == '__version__':
                continue
            # A name put together at run time may be any host's.
            height = LEVELS['mmpose'] if '*' in target else LEVELS.get(target)
            if target in DOORS or height > level or (
                    part in HOSTS and target != part
                    and (target in HOSTS or '*' in target)):
                found.append(name)
        elif package.startswith('mm') and package != 'mmdense':
            own = part in HOSTS and package == part
            if package not in ALLOWED[part] and not own:
                found.append(name)
    return found


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix('.py')


SOURCES = [
    path for path in sorted(ROOT.rglob('*.py'))
    if '.mim' not in path.parts and part_of(path) != 'locations'
]


@pytest.mark.parametrize(
    'path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    assert violations(part_of(path), path.read_text()) == []


def imported_at_once(source: str) -> list[str]:
    """What of mmdense is imported outside functions and TYPE_CHECKING."""
    lines = [node for node in ast.parse(source).body
             if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name for name in imports_of('\n'.join(map(ast.unparse, lines)))
            if name.startswith('mmdense.')]


@pytest.mark.parametrize('part', LIGHT)
def test_importing_the_package_imports_level_0(part):
    for name in imported_at_once((ROOT / f'{part}.py').read_text()):
        target = name.split('.')[1]
        assert LEVELS[target] == 0 or target in LIGHT, name


def test_an_import_in_a_function_is_not_made_at_once():
    assert imported_at_once(
        'from mmdense import forks\ndef f():\n    import mmdense.engine'
    ) == ['mmdense.forks']


@pytest.mark.parametrize('part, line', [
    ('ops', 'import mmengine'),
    ('predicting', 'import mmpose'),
    ('networks', 'import mmdense.predicting'),
    ('modules', 'from mmdense.registry import MODELS'),
    ('engine', 'import mmdense.adapters'),
    ('adapters', 'from mmdense import mmpose'),
    ('mmpose', 'import mmseg'),
    ('mmpose', 'from mmdense.mmdet import x'),
    ('engine', "import_module('mmdense.mmseg.transforms')"),
    ('adapters', "importlib.import_module(f'mmdense.{host}.prediction')"),
])
def test_a_wrong_import_is_found(part, line):
    assert len(violations(part, line)) == 1
