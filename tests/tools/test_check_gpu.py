"""The check of a GPU, rehearsed under Triton's interpreter."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from by_path import load_tool

from mmdense.analysis.benchmarks.check_gpu import plan

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'check_gpu.py'
# One of every kind.
ITEMS = ['accuracy: adaptive_dilated_conv2d 20x5x6, bfloat16',
         'accuracy: channel_shift 5x6x7, float32',
         'check_an_empty_shift_is_empty',
         'speed: ADC, forward, bfloat16', 'speed: channel_shift']


def rehearse(out, items, package=ROOT):
    """Run the tool with the package of a folder; its end and results."""
    done = subprocess.run(
        [sys.executable, TOOL, '--rehearse', '--budget', '3000', '--out', out,
         '--only', *items],
        env=dict(os.environ, PYTHONPATH=str(package)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    written = out / 'check_gpu.json'
    assert written.exists(), done.stdout
    results = json.loads(written.read_text())['results']
    return done, {f'{r["part"]}: {r["name"]}': r['status'] for r in results}


@pytest.mark.slow
def test_rehearsal_of_sound_kernels_holds(tmp_path):
    pytest.importorskip('triton')
    done, results = rehearse(tmp_path, ITEMS)
    assert done.returncode == 0, done.stdout
    assert len(results) == len(ITEMS)
    assert set(results.values()) == {'ok'}
    page = (tmp_path / 'check_gpu.md').read_text()
    assert "# The operators on Triton's interpreter on a CPU" in page
    assert 'A rehearsal: the times mean nothing.' in page


@pytest.mark.slow
@pytest.mark.parametrize('file, right, wrong, item', [
    ('adaptive_dilated_conv2d/triton/sampling.py',
     'value = (1 - rest_x) * value + rest_x * v01',
     'value = rest_x * value + (1 - rest_x) * v01', ITEMS[0]),
    ('channel_shift/triton.py', 'y, z = i + whole_y, column + whole_x',
     'y, z = i - whole_y, column + whole_x', ITEMS[1]),
])
def test_rehearsal_fails_where_a_kernel_is_wrong(tmp_path, file, right, wrong,
                                                 item):
    pytest.importorskip('triton')
    for name in 'mmdense', 'tests/ops', 'tests/shared':
        shutil.copytree(ROOT / name, tmp_path / name,
                        ignore=shutil.ignore_patterns('.mim', '*.json'))
    for name in '.pytest.ini', 'tests/conftest.py':
        shutil.copy(ROOT / name, tmp_path / name)
    path = tmp_path / 'mmdense/ops' / file
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    done, results = rehearse(tmp_path / 'out', [item, ITEMS[2]], tmp_path)
    assert done.returncode == 1, done.stdout
    assert results.pop(item) == 'failed'
    # The other still ran.
    assert list(results.values()) == ['ok']


@pytest.fixture(scope='module')
def tool():
    return load_tool('check_gpu')


@pytest.mark.parametrize('status, code', [('ok', 0), ('skipped', 0),
                                          ('miss', 1), ('failed', 1),
                                          ('left out', 1)])
def test_the_exit_status_says_whether_all_held(tool, monkeypatch, tmp_path,
                                               capsys, status, code):

    def run(budget, only, rehearse, note):
        found = plan.Report(budget, rehearse, dict(device='a GPU'))
        note(found, None)
        found.results.append(plan.Result('speed', 'ADC', status, 2.))
        note(found, found.results[-1])
        return found

    monkeypatch.setattr(tool.plan, 'run', run)
    assert tool.main(['--out', str(tmp_path)]) == code
    printed = capsys.readouterr().out
    assert f'speed: 1 {status}' in printed and 'check_gpu.md' in printed


def test_no_gpu_ends_in_one_line(tool, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        tool.plan, 'WORKER',
        ['-c', 'print(\'{"problem": "torch sees no GPU"}\')'])
    assert tool.main(['--out', str(tmp_path / 'out')]) == 2
    assert capsys.readouterr().err == 'error: check_gpu: torch sees no GPU\n'
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('argv, message', [
    (['--budget', '10'], '--budget must be at least 30 seconds, got 10'),
    (['--budget', 'nan'], '--budget must be at least 30 seconds, got nan'),
    (['--out', __file__], '--out must be a folder'),
])
def test_a_wrong_option_is_named(tool, capsys, argv, message):
    with pytest.raises(SystemExit):
        tool.main(argv)
    assert message in capsys.readouterr().err
