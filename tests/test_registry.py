"""Both ways to name a class of mmdense, in fresh processes."""
import subprocess
import sys

import pytest

NECK = ("dict(type='{}FlatteningNeck', in_channels=64, upscale=4, layers=["
        'dict(groups_first=4, groups_second=16)])')


def run(code: str) -> str:
    """The last line that ``code`` prints: hosts print when imported, too."""
    result = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()[-1]


BUILD = '''
from mmengine.registry import DefaultScope, MODELS
DefaultScope.get_instance('test', scope_name='{host}')
print(type(MODELS.build({config})).__name__)
'''


@pytest.mark.parametrize('host', ['mmpose', 'mmseg', 'mmdet'])
def test_prefixed_name_needs_no_import(host):
    pytest.importorskip(host)
    code = BUILD.format(host=host, config=NECK.format('mmdense.'))
    assert run(code) == 'FlatteningNeck'


@pytest.mark.parametrize('host', ['mmpose', 'mmseg', 'mmdet'])
def test_bare_name_after_custom_imports(host):
    pytest.importorskip(host)
    code = f'import mmdense.{host}\n' + BUILD.format(
        host=host, config=NECK.format(''))
    assert run(code) == 'FlatteningNeck'


def test_bare_name_is_unknown_without_import():
    pytest.importorskip('mmpose')
    code = BUILD.format(host='mmpose', config=NECK.format(''))
    result = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                            capture_output=True,
                            text=True)
    assert 'FlatteningNeck is not in the' in result.stderr


def test_importing_mmdense_loads_no_openmmlab_package():
    out = run('import sys, mmdense\n'
              'print([m for m in sys.modules if m.split(".")[0] in '
              '("mmengine", "mmcv", "mmpose", "mmseg", "mmdet", "torch", '
              '"numpy", "cv2")])')
    assert out == '[]'


def test_no_name_is_one_a_host_already_has():
    """A child registry's own entry would silently win over our bare name."""
    out = run('''
import mmdense.locations, mmdense.registry as ours, importlib
clashes = []
for host, path in (('mmpose', 'mmpose.registry'), ('mmseg', 'mmseg.registry'),
                   ('mmdet', 'mmdet.registry'), ):
    try:
        theirs = importlib.import_module(path)
    except ImportError:
        continue
    for name in ours.__all__:
        registry = getattr(theirs, name, None)
        if registry is None:
            continue
        registry.import_from_location()
        mine = getattr(ours, name)
        assert mine.scope == 'mmdense'
        clashes += [(host, key) for key in mine.module_dict
                    if key in registry.module_dict]
print(len(ours.MODELS.module_dict) > 0, clashes)
''')
    assert out == 'True []'


def test_registering_a_name_twice_is_refused():
    code = '''
from mmdense.registry import MODELS
import mmdense.locations
name = next(iter(MODELS.module_dict))
Other = type(name, (), {})
try:
    MODELS.register_module(name=name, module=Other)
except KeyError as error:
    print('already registered' in str(error))
'''
    assert run(code) == 'True'


def test_a_host_that_does_not_import_costs_only_its_names():
    code = '''
import sys, warnings
sys.modules['mmdet.models'] = None
sys.modules['mmdense.mmdet'] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    import mmdense.locations
from mmdense.registry import MODELS
print(any('mmdet is installed but does not import' in str(w.message)
          for w in caught), 'FlatteningNeck' in MODELS.module_dict)
'''
    assert run(code) == 'True True'


AS_WITH_A_FORK = '''
from importlib import metadata
distribution = metadata.distribution
def without_the_original(name):
    if name == 'mmsegmentation':
        raise metadata.PackageNotFoundError(name)
    return distribution(name)
metadata.distribution = without_the_original
'''


def test_bases_are_found_in_a_fork_of_mmsegmentation(tmp_path):
    pytest.importorskip('mmseg')
    path = tmp_path / 'config.py'
    path.write_text("_base_ = 'mmseg::_base_/default_runtime.py'")
    out = run(AS_WITH_A_FORK + f'''
import mmdense.registry
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
print(MODULE2PACKAGE['mmseg'], Config.fromfile({str(path)!r}).default_scope)
''')
    assert out == 'mmseg mmseg'


def test_the_name_to_install_stays_without_mmseg():
    out = run(AS_WITH_A_FORK + '''
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *package: (
    None if name == 'mmseg' else find_spec(name, *package))
import mmdense.registry
from mmengine.config.utils import MODULE2PACKAGE
print(MODULE2PACKAGE['mmseg'])
''')
    assert out == 'mmsegmentation'
