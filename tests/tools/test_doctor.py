"""The doctor finds each broken pairing and says how to mend it."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

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


def test_a_mismatched_torchvision_is_broken(doctor, pretend):
    pretend(torch='2.11.0+cu130', torchvision='0.25.1')
    found = doctor.check_torchvision()
    assert found.status == 'broken'
    assert found.remedy == "pip install 'torchvision==0.26.*'"


def test_a_matching_torchvision_that_does_not_import_is_broken(
        doctor, pretend):
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


def test_mmcv_lite_is_not_enough(doctor, pretend):
    pretend(mmcv_lite='2.1.0')
    found = doctor.check_mmcv()
    assert found.status == 'broken' and 'mmcv-lite' in found.detail
    assert 'MMCV_WITH_OPS=1' in found.remedy


def test_mmcv_beyond_the_hosts_bound_is_broken(doctor, pretend):
    pretend(mmcv='2.2.0')
    assert 'refuse 2.2.0' in doctor.check_mmcv().detail


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
    found = doctor.check_host('mmpose', 'mmpose', 'command')
    assert (found.status, found.remedy) == ('note', 'command')


def test_xtcocotools_built_for_another_numpy_is_broken(doctor, pretend):
    pretend(
        xtcocotools='1.14.3',
        errors=[('xtcocotools._mask', 'ValueError: numpy.dtype size changed')])
    found = doctor.check_xtcocotools()
    assert found.status == 'broken'
    assert '--no-binary xtcocotools' in found.remedy


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
