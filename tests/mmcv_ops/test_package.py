"""What the package is: its names, its answers, its files."""
import ast
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

import pytest
from mmcv_ops_cases import compiled_operators

package = pytest.importorskip('mmcv_ops_torchvision')
SOURCE = Path(__file__).parents[2] / 'requirements' / 'mmcv_ops'
STAND_IN = SOURCE / 'stand_in' / '_ext.py'


def loaded_names():
    """Every name that mmcv/ops/*.py loads from mmcv._ext."""
    spec = importlib.util.find_spec('mmcv')
    if spec is None:
        pytest.skip('needs mmcv or mmcv-lite')
    names = set()
    for path in (Path(spec.origin).parent / 'ops').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and \
                    getattr(node.func, 'attr', None) == 'load_ext':
                names.update(ast.literal_eval(node.args[1]))
    return names


def test_has_every_name_mmcv_loads_and_no_other():
    assert set(package.OPERATORS) == loaded_names()


def test_no_name_is_in_both_tables():
    assert not set(package.UNSUPPORTED) & {
        f.__name__ for f in package.table.SUPPORTED}


def test_arguments_have_the_compiled_names():
    compiled = compiled_operators()
    if compiled is None:
        pytest.skip('needs a compiled mmcv')
    for function in package.table.SUPPORTED:
        signature = compiled[function.__name__].__doc__.split('->')[0]
        assert list(inspect.signature(function).parameters) == re.findall(
            r'(\w+): ', signature), function.__name__


@pytest.mark.parametrize('name', package.UNSUPPORTED)
def test_an_unsupported_operator_names_itself_and_the_remedy(name):
    with pytest.raises(
            NotImplementedError,
            match=f"^{name}: .*`MMDENSE_MMCV=compiled bash tools/set_up.sh`"):
        package.OPERATORS[name](1, two=2)


def test_says_what_it_is():
    spec = importlib.util.spec_from_file_location('stand_in', STAND_IN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.STAND_IN == f'mmcv-ops-torchvision {package.__version__}'
    assert module.STAND_IN in module.get_compiler_version()
    assert isinstance(module.get_compiling_cuda_version(), str)
    assert module.nms is package.OPERATORS['nms']


def test_a_compiled_module_in_the_same_folder_wins(tmp_path):
    shutil.copy(STAND_IN, tmp_path)
    compiled = tmp_path / f'_ext{EXTENSION_SUFFIXES[0]}'
    find = PathFinder().find_spec
    assert find('mmcv._ext', [str(tmp_path)]).origin == str(
        tmp_path / '_ext.py')
    compiled.touch()
    importlib.invalidate_caches()
    assert find('mmcv._ext', [str(tmp_path)]).origin == str(compiled)


def test_imports_no_mmcv():
    """mmcv imports the package."""
    for path in (SOURCE / 'mmcv_ops_torchvision').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {name.name.split('.')[0] for name in node.names} <= {
                    'torch', 'torchvision'}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module.split('.')[0] in {
                    'collections', 'torch', 'torchvision'}


def test_the_wheel_holds_one_file_of_mmcv_and_asks_for_none(tmp_path):
    copy = shutil.copytree(
        SOURCE, tmp_path / 'source',
        ignore=shutil.ignore_patterns('build', '*.egg-info', '__pycache__'))
    subprocess.run([
        sys.executable, '-c', 'import sys; from setuptools import build_meta; '
        'build_meta.build_wheel(sys.argv[1])', tmp_path
    ], cwd=copy, check=True, capture_output=True)
    wheel, = tmp_path.glob('*.whl')
    assert wheel.name.endswith('-py3-none-any.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata, = (archive.read(name).decode() for name in names
                     if name.endswith('/METADATA'))
    assert [name for name in names
            if name.startswith('mmcv/')] == ['mmcv/_ext.py']
    assert {
        name.split('/')[1] for name in names
        if name.startswith('mmcv_ops_torchvision/')
    } == {path.name for path in (SOURCE / 'mmcv_ops_torchvision').glob('*.py')}
    required = re.findall(r'^Requires-Dist: ([\w-]+)', metadata, re.M)
    assert sorted(required) == ['torch', 'torchvision']
    assert f'Version: {package.__version__}\n' in metadata
