"""The doctor finds each broken pairing and says how to mend it."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[2] / 'tools' / 'doctor.py'


@pytest.fixture
def doctor(monkeypatch):
    spec = importlib.util.spec_from_file_location('doctor', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, 'doctor', module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pretend(doctor, monkeypatch):
    """Pretend that exactly these distributions are installed."""

    def install(errors=(), **versions):
        monkeypatch.setattr(
            doctor, 'version_of', lambda *names: next(
                (versions[n.replace('-', '_')] for n in names
                 if n.replace('-', '_') in versions), None))
        monkeypatch.setattr(doctor, 'import_error', dict(errors).get)

    return install


def test_this_environment_is_sound():
    result = subprocess.run([sys.executable, SCRIPT, '--json'],
                            capture_output=True,
                            text=True)
    found = {item['name']: item for item in json.loads(result.stdout)}
    assert found['mmdense']['status'] == 'ok'
    assert found['ops backend reference']['status'] == 'ok'
    broken = [name for name in found if found[name]['status'] == 'broken']
    assert result.returncode == (1 if broken else 0)


@pytest.mark.parametrize('torch, wants, status', [
    ('2.11.0+cu130', 'torch (==2.10.1)', 'broken'),
    ('2.10.1+cpu', 'torch==2.10.1', 'ok'),
    ('2.13.0', 'torch>=2.14.0', 'broken'),
    ('2.15.0', "torch>=2.14.0; extra != 'none'", 'ok'),
])
def test_torchvision_says_which_torch_it_is_for(doctor, pretend, monkeypatch,
                                                torch, wants, status):
    pretend(torch=torch, torchvision='0.25.1')
    monkeypatch.setattr(doctor.importlib.metadata, 'requires',
                        lambda name: ['numpy', 'torchdata', wants])
    found = doctor.check_torchvision()
    assert found.status == status
    if status == 'broken':
        # pip finds the one that goes with it.
        assert found.remedy == (
            f'pip install torch=={torch.split("+")[0]} torchvision')


def test_a_matching_torchvision_that_does_not_import_is_broken(
        doctor, pretend, monkeypatch):
    monkeypatch.setattr(doctor, 'wanted_torch', lambda: '==2.11.0')
    pretend(
        torch='2.11.0',
        torchvision='0.26.0',
        errors=[('torchvision', 'RuntimeError: torchvision::nms')])
    assert doctor.check_torchvision().status == 'broken'


@pytest.mark.parametrize('version, status', [('1.25.9', 'broken'),
                                             ('1.26.4', 'ok'),
                                             ('2.3.5', 'ok'),
                                             ('2.4.0', 'broken')])
def test_numpy_bounds(doctor, pretend, version, status):
    pretend(numpy=version)
    assert doctor.check_numpy().status == status


@pytest.mark.parametrize('version, status', [('81.0.0', 'ok'),
                                             ('82.0.1', 'broken')])
def test_setuptools_bound(doctor, pretend, version, status):
    pretend(setuptools=version)
    assert doctor.check_setuptools().status == status


LITE = 'pip install --no-deps mmcv-lite==2.1.0 ./requirements/mmcv_ops'


@pytest.mark.parametrize('versions, error, detail, remedy', [
    (dict(), None, 'not installed', LITE),
    (dict(mmcv_lite='2.1.0'), "No module named 'mmcv._ext'",
     'its operators (mmcv-ops-torchvision) are not installed',
     'pip install --no-deps ./requirements/mmcv_ops'),
    (dict(mmcv_lite='2.1.0', mmcv_ops_torchvision='0.1.0'), 'no file', 'are 0',
     f'pip uninstall -y mmcv-lite mmcv-ops-torchvision && {LITE}'),
    (dict(mmcv='2.1.0', mmcv_lite='2.1.0'), None,
     'mmcv-lite 2.1.0 is installed over mmcv 2.1.0',
     f'pip uninstall -y mmcv mmcv-lite && {LITE}'),
    (dict(mmcv='2.2.0'), None, 'refuse 2.2.0',
     f'pip uninstall -y mmcv && {LITE}'),
    (dict(mmcv_lite='2.2.0'), None, 'refuse 2.2.0',
     f'pip uninstall -y mmcv-lite && {LITE}'),
    (dict(mmcv='2.1.0'), 'undefined symbol', 'against another torch',
     f'pip uninstall -y mmcv && {LITE}'),
])
def test_a_broken_mmcv_is_mended_by_one_command(doctor, pretend, versions,
                                                error, detail, remedy):
    pretend(errors=[('mmcv.ops', error)], **versions)
    found = doctor.check_mmcv()
    assert found.status == 'broken' and detail in found.detail
    assert found.remedy == remedy


@pytest.mark.parametrize('versions, extension, detail', [
    (dict(mmcv_lite='2.1.0'), SimpleNamespace(STAND_IN='operators 0.1.0'),
     '2.1.0 lite with operators 0.1.0'),
    (dict(mmcv='2.1.0'), SimpleNamespace(), '2.1.0 compiled, with ops'),
    (dict(onedl_mmcv='2.3.6'), SimpleNamespace(), '2.3.6 compiled, with ops'),
])
def test_both_kinds_of_mmcv_are_sound(doctor, pretend, monkeypatch, versions,
                                      extension, detail):
    pretend(**versions)
    monkeypatch.setattr(doctor.importlib, 'import_module',
                        lambda name: extension)
    found = doctor.check_mmcv()
    assert (found.status, found.detail) == ('ok', detail)


def test_a_fork_over_its_original_is_broken(doctor, pretend):
    pretend(mmcv='2.1.0', onedl_mmcv='2.3.6')
    assert [item.name for item in doctor.check_forks()] == ['onedl-mmcv']


def test_mim_that_would_overwrite_a_fork_is_noted(doctor, pretend):
    pretend(openmim='0.3.9', onedl_mmdetection='3.5.1', mmsegmentation='1.2.2')
    found = doctor.check_mim()
    assert found.status == 'note'
    assert 'onedl-mmdetection: `mim train' in found.detail
    pretend(openmim='0.3.9', mmdet='3.3.0')
    assert doctor.check_mim().status == 'ok'
    pretend(onedl_mim='0.5.1', onedl_mmdetection='3.5.1')
    assert doctor.check_mim().status == 'ok'


def test_a_missing_host_is_only_a_note(doctor, pretend):
    pretend()
    found = doctor.check_host('mmpose', 'mmpose')
    assert found.status == 'note'
    assert found.remedy.endswith(
        ' -r requirements/hosts.txt && pip install --no-deps mmpose==1.3.2')


@pytest.mark.parametrize('versions, wanted', [
    (dict(mmdet='3.3.0'), 'mmdet==3.3.0'),
    (dict(onedl_mmdetection='3.5.1'), 'onedl-mmdetection==3.5.1'),
])
def test_a_host_whose_files_are_broken_is_written_anew(doctor, pretend,
                                                       versions, wanted):
    pretend(errors=[('mmdet.models', "No module named 'x'")], **versions)
    assert doctor.check_host('mmdet', 'mmdet').remedy.endswith(
        f' && pip install --no-deps --force-reinstall {wanted}')


def test_xtcocotools_built_for_another_numpy_is_broken(doctor, pretend):
    pretend(
        xtcocotools='1.14.3',
        errors=[('xtcocotools._mask', 'ValueError: numpy.dtype size changed')])
    found = doctor.check_xtcocotools()
    assert found.status == 'broken'
    assert found.remedy == ('pip uninstall -y xtcocotools && '
                            'pip install ./requirements/xtcocotools')


def test_what_stands_in_for_xtcocotools_is_named(doctor, pretend, monkeypatch):
    pretend(errors=[('xtcocotools.cocoeval', 'No module named xtcocotools')])
    found = doctor.check_xtcocotools()
    assert found.status == 'note'
    assert found.remedy == 'pip install ./requirements/xtcocotools'
    pretend()
    monkeypatch.setattr(doctor.importlib, 'import_module',
                        lambda name: SimpleNamespace(STAND_IN='ours 0.1.0'))
    found = doctor.check_xtcocotools()
    assert (found.status, found.detail) == ('ok', 'ours 0.1.0')


@pytest.mark.parametrize('version, status', [((3, 9, 1), 'note'),
                                             ((3, 10, 0), 'ok'),
                                             ((3, 13, 2), 'ok'),
                                             ((3, 14, 0), 'broken')])
def test_python_bounds(doctor, monkeypatch, version, status):
    monkeypatch.setattr(doctor.sys, 'version_info', version)
    assert doctor.check_python().status == status


def test_broken_findings_set_the_exit_status(doctor, pretend, capsys,
                                             monkeypatch):
    pretend(numpy='2.4.0')
    monkeypatch.setattr(doctor, 'findings', lambda: [doctor.check_numpy()])
    monkeypatch.setattr(sys, 'argv', ['doctor.py'])
    with pytest.raises(SystemExit, match='broken: numpy'):
        doctor.main()
    assert 'mend it: pip install' in capsys.readouterr().out


def test_what_a_host_prints_stays_out_of_the_report(doctor, capsys,
                                                    monkeypatch):

    def findings():
        print('a host is imported')
        yield doctor.Finding('host', 'ok', '1.0')

    monkeypatch.setattr(doctor, 'findings', findings)
    monkeypatch.setattr(sys, 'argv', ['doctor.py', '--json'])
    doctor.main()
    out, error = capsys.readouterr()
    assert [item['name'] for item in json.loads(out)] == ['host']
    assert 'a host is imported' in error
