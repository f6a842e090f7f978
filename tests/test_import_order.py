"""A line of the package imports from its own level or a smaller number."""
import ast
from pathlib import Path

import pytest

import mmdense

ROOT = Path(mmdense.__file__).parent
LEVELS = dict(
    version=0,
    config_path=0,
    ops=1,
    modules=2,
    engine=3,
    datasets=3,
    analysis=3,
    registry=3,
    adapters=4,
    mmpose=5,
    mmseg=5,
    mmdet=5)
# The doors of the package: they may reach anything, nothing reaches them.
DOORS = ('__init__', '__main__', 'locations')
HOSTS = ('mmpose', 'mmseg', 'mmdet')
# What each level may take from OpenMMLab.
ALLOWED = {
    0: (),
    1: (),
    2: (),
    3: ('mmengine', ),
    4: ('mmengine', 'mmcv'),
    5: ('mmengine', 'mmcv')
}


def imports_of(source: str) -> list[str]:
    """Absolute module names imported anywhere in ``source``."""
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
            if target in DOORS or LEVELS[target] > level or (
                    part in HOSTS and target in HOSTS and target != part):
                found.append(name)
        elif package.startswith('mm') and package != 'mmdense':
            own = part in HOSTS and package == part
            if package not in ALLOWED[level] and not own:
                found.append(name)
    return found


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix('.py')


SOURCES = [
    path for path in sorted(ROOT.rglob('*.py'))
    if '.mim' not in path.parts and part_of(path) not in DOORS
]


@pytest.mark.parametrize(
    'path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    assert violations(part_of(path), path.read_text()) == []


@pytest.mark.parametrize('part, line', [
    ('ops', 'import mmengine'),
    ('modules', 'from mmdense.registry import MODELS'),
    ('engine', 'import mmdense.adapters'),
    ('adapters', 'from mmdense import mmpose'),
    ('mmpose', 'import mmseg'),
    ('mmpose', 'from mmdense.mmdet import x'),
])
def test_a_wrong_import_is_found(part, line):
    assert len(violations(part, line)) == 1
