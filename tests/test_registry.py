"""Both ways to name a class of mmdense, in fresh processes."""
import json
import subprocess
import sys

import pytest

HOSTS = ('mmpose', 'mmseg', 'mmdet')


def run(code: str) -> str:
    """The last line that ``code`` prints: hosts print when imported, too."""
    result = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()[-1]


BUILD = '''
import json
from mmengine.registry import DefaultScope, MODELS
def build(host, name, **options):
    with DefaultScope.overwrite_default_scope(host):
        return type(MODELS.build(dict(options, type=name))).__name__
def neck(host, prefix):
    return build(host, prefix + 'FlatteningNeck', in_channels=64, upscale=4,
                 layers=[dict(groups_first=4, groups_second=16)])
'''
# An import of the hosts takes seconds: in one process, one after the other.
PREFIXED = BUILD + '''
import importlib
found = {}
try:
    neck('mmpose', '')
except KeyError as error:
    found['bare'] = str(error)
for host in HOSTS:
    found[host] = neck(host, 'mmdense.')
import mmdense.locations, mmdense.registry as ours
found['clashes'] = []
for host in HOSTS:
    theirs = importlib.import_module(f'{host}.registry')
    for name in ours.__all__:
        registry = getattr(theirs, name, None)
        if registry is None:
            continue
        registry.import_from_location()
        mine = getattr(ours, name)
        assert mine.scope == 'mmdense'
        found['clashes'] += [(host, key) for key in mine.module_dict
                             if key in registry.module_dict]
name = next(iter(ours.MODELS.module_dict))
try:
    ours.MODELS.register_module(name=name, module=type(name, (), {}))
except KeyError as error:
    found['twice'] = str(error)
print(json.dumps(found))
'''
BARE = BUILD + '''
found = {}
import mmdense.mmpose
found['mmpose'] = build('mmpose', 'FoldedHeatmapHead', in_channels=2,
                        out_channels=2, upscale=2)
import mmdense.mmseg
found['mmseg'] = build('mmseg', 'FoldedFCNHead', in_channels=2, num_classes=2,
                       upscale=2)
import mmdense.mmdet
found['mmdet'] = build('mmdet', 'MultinomialMaskHead', num_classes=2)
print(json.dumps(found))
'''


def results(code):
    for host in HOSTS:
        pytest.importorskip(host)
    return json.loads(run(f'HOSTS = {HOSTS}\n{code}'))


@pytest.fixture(scope='module')
def prefixed():
    return results(PREFIXED)


def test_bare_name_is_unknown_without_import(prefixed):
    assert 'FlatteningNeck is not in the' in prefixed['bare']


@pytest.mark.parametrize('host', HOSTS)
def test_prefixed_name_needs_no_import(prefixed, host):
    assert prefixed[host] == 'FlatteningNeck'


def test_no_name_is_one_a_host_already_has(prefixed):
    """A child registry's own entry would silently win over our bare name."""
    assert prefixed['clashes'] == []


def test_registering_a_name_twice_is_refused(prefixed):
    assert 'already registered' in prefixed['twice']


def test_bare_names_after_custom_imports():
    assert results(BARE) == dict(
        mmpose='FoldedHeatmapHead', mmseg='FoldedFCNHead',
        mmdet='MultinomialMaskHead')


def test_importing_mmdense_loads_no_openmmlab_package():
    out = run('import sys, mmdense\n'
              'print([m for m in sys.modules if m.split(".")[0] in '
              '("mmengine", "mmcv", "mmpose", "mmseg", "mmdet", "torch", '
              '"numpy", "cv2")])')
    assert out == '[]'


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
