"""The check of a GPU keeps to its budget, and survives what it runs."""
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mmdense.analysis.benchmarks.check_gpu import (
    accuracy,
    plan,
    report,
    speed,
)
from mmdense.analysis.benchmarks.rows import Size

ROOT = Path(__file__).resolve().parents[2]
# Stands for the process that runs items: each name says what happens.
WORKER = '''
import json, os, sys, time
items = json.loads(sys.argv[1])
print(json.dumps(dict(machine=dict(device='none'), items=items)), flush=True)
for line in sys.stdin:
    part, name = json.loads(line)
    start, what = time.time(), name.split()[0]
    if what == 'crash':
        sys.stderr.write('an illegal memory access')
        sys.stderr.flush()
        os._exit(1)
    time.sleep(dict(hang=60, slow=0.3).get(what, 0))
    result = dict(status='failed' if what == 'fail' else 'ok', pid=os.getpid(),
                  start=start, stop=time.time())
    if what == 'spoil':
        result['spoilt'] = True
    print(json.dumps(result), flush=True)
    if what == 'spoil':
        break
'''


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run items, given by part, with a budget in seconds."""

    def start(budget=60, only=None, item=10, worker=WORKER, note=None,
              **items):
        path = tmp_path / 'worker.py'
        path.write_text(worker)
        monkeypatch.setattr(plan, 'WORKER', [str(path), json.dumps(items)])
        monkeypatch.setattr(plan, 'ITEM', item)
        monkeypatch.setattr(plan, 'RESERVE', 0)
        monkeypatch.setattr(plan.os, 'cpu_count', lambda: 4)
        return plan.run(budget, only, note=note or (lambda *_: None))

    return start


def statuses(found):
    return {result.name: result.status for result in found.results}


def test_what_one_item_does_harms_no_other(run):
    found = run(
        accuracy=['crash', 'good 1', 'hang', 'spoil'],
        tests=['fail', 'good 2'], speed=['crash 2', 'good 3'], item=0.7)
    assert statuses(found) == {
        'crash': 'failed', 'good 1': 'ok', 'hang': 'failed', 'spoil': 'ok',
        'fail': 'failed', 'good 2': 'ok', 'crash 2': 'failed', 'good 3': 'ok'}
    reasons = {result.name: result.details.get('reason', '')
               for result in found.results}
    assert 'an illegal memory access' in reasons['crash']
    assert 'no answer in 1 s' in reasons['hang']
    assert not found.held


def test_a_spoilt_process_is_replaced(run):
    found = run(speed=['spoil', 'good'])
    first, second = (result.details['pid'] for result in found.results)
    assert first != second and found.held


def test_speed_has_the_machine_to_itself(run):
    found = run(accuracy=[f'slow {k}' for k in range(8)], speed=['slow'])
    others, alone = found.named('accuracy'), found.named('speed')[0]
    # Several processes until then.
    assert len({result.details['pid'] for result in others}) == 2
    assert alone.details['start'] >= max(
        result.details['stop'] for result in others)


def test_the_budget_ends_it_and_what_is_left_out_is_named(run):
    start = time.monotonic()
    found = run(budget=3, speed=[f'slow {k}' for k in range(30)])
    assert time.monotonic() - start < 8
    assert len(found.results) == 30 and not found.held
    assert set(statuses(found).values()) == {'ok', 'left out'}
    assert 'left out' in report.summary(found)


def test_speed_gets_its_share_though_the_others_are_not_done(run):
    found = run(budget=3, accuracy=[f'slow {k}' for k in range(60)],
                speed=['good'])
    assert statuses(found)['good'] == 'ok'
    assert found.results[-1].status == 'left out'


def test_only_takes_items_by_parts_of_their_names(run):
    items = dict(accuracy=['a, bfloat16'], tests=['a'], speed=['b, bfloat16'])
    assert list(statuses(run(only=['speed:', 'tests: a'], **items))) == [
        'a', 'b, bfloat16']
    with pytest.raises(ValueError, match="--only must be .*, got \\['x'\\]"):
        run(only=['x'], **items)


@pytest.mark.parametrize('worker, message', [
    ("print('{\"problem\": \"torch sees no GPU\"}')", 'torch sees no GPU'),
    ("raise SystemExit('no torch')", 'the process ended: no torch'),
])
def test_a_machine_that_cannot_run_it_is_refused(run, worker, message):
    with pytest.raises(ValueError, match=message):
        run(worker=worker, speed=['good'])


def test_files_are_written_after_every_item(run, tmp_path):
    seen = []

    def note(found, result):
        path, page = report.write(found, tmp_path / 'out')
        seen.append(len(json.loads(path.read_text())['results']))
        assert page.read_text().startswith('# The operators on none')

    run(speed=['good', 'fail'], note=note)
    assert seen == [0, 1, 2]


ROW = dict(
    figure='ADC / conv2d, forward', size='4x5x6', dtype='bfloat16', a=1.5,
    b=1., unit='ms', ratio=1.5, quartiles=[1.4, 1.6], bar=1.2, goal=None,
    at_most=True, peaks=[2., 3.], verdict='miss')


def test_the_page_has_a_table_for_each_part_and_every_reason():
    found = plan.Report(480, False, dict(device='a GPU', torch='2'), [
        plan.Result('speed', 'ADC', 'miss', 1., dict(rows=[ROW])),
        plan.Result('accuracy', 'shift', 'ok', 1., dict(
            errors=dict(out=1e-7, x=2e-7), tolerance=2e-5, repeats=True)),
        plan.Result('tests', 'check_a', 'failed', 1., dict(
            reason='E  AssertionError: a | b\n\n')),
        plan.Result('tests', 'check_b', 'left out', 0., dict(
            reason='the budget was used up'))])
    page = report.markdown(found)
    assert page.startswith('# The operators on a GPU\n\ntorch 2.')
    assert ('| ADC / conv2d, forward | 4x5x6 | bfloat16 | 1.500 | 1.000 '
            '| 1.50 | 1.40 to 1.60 | <= 1.2 | 2.0 | 3.0 | miss |') in page
    assert '| shift | out 1.0e-07, x 2.0e-07 | 2e-05 | yes | ok |' in page
    assert '| tests: check_a | failed | E  AssertionError: a \\| b |' in page
    assert '| tests: check_b | left out | the budget was used up |' in page
    assert 'rehearsal' not in page and not found.held


@pytest.fixture
def cpu_kernels(monkeypatch):
    """Stands for a GPU's: the same functions on a CPU."""
    monkeypatch.setattr(
        accuracy, 'use_backend', lambda name: contextlib.nullcontext())
    monkeypatch.setattr(
        speed, 'use_backend', lambda name: contextlib.nullcontext())


CPU = torch.device('cpu')
FLOAT = accuracy.PRECISIONS['float32']


@pytest.mark.parametrize('case', accuracy.SMALL, ids=str)
def test_right_kernels_keep_every_tolerance(cpu_kernels, case):
    # Nine samples: more than one chunk of the reference.
    for precision in accuracy.PRECISIONS.values():
        result = accuracy.measure(case, 9, precision, CPU)
        assert result['status'] == 'ok', result
        assert set(result['errors']) == {
            'out', 'x', *(('offset', ) if case.operator == 'channel_shift' else
                          ('weight', 'rate'))}


@pytest.mark.parametrize('wrong', ['out', 'x', 'weight', 'rate'])
def test_one_wrong_tensor_fails(cpu_kernels, monkeypatch, wrong):
    right = accuracy.with_gradients

    def spoilt(function, inputs, grad):
        found = right(function, inputs, grad)
        if grad.dtype != torch.float64:
            found[wrong] = found[wrong].clone()
            found[wrong].view(-1)[-1] *= 1.5
        return found

    monkeypatch.setattr(accuracy, 'with_gradients', spoilt)
    result = accuracy.measure(accuracy.SMALL[0], 2, FLOAT, CPU)
    assert result['status'] == 'failed'
    large = [name for name, error in result['errors'].items() if error > 1e-4]
    assert large == [wrong]


def test_a_value_that_is_no_number_is_an_error():
    wanted = torch.ones(3, dtype=torch.float64)
    assert accuracy.largest_error(
        torch.tensor([1, float('nan'), 1]), wanted) == float('inf')


def test_a_result_that_does_not_repeat_fails(cpu_kernels, monkeypatch):
    monkeypatch.setattr(accuracy.torch, 'equal', lambda *_: False)
    result = accuracy.measure(accuracy.SMALL[2], 1, FLOAT, CPU)
    assert result['status'] == 'failed' and not result['repeats']


def test_every_kernel_that_is_timed_is_compared_first():
    names = accuracy.items(torch.device('cuda'), 64, False)
    for dtype in 'bfloat16', 'float32', 'tf32':
        for size in '64x64x48', '128x32x24', '256x16x12', '512x8x6':
            assert f'adaptive_dilated_conv2d {size}, {dtype}' in names
    for dtype in 'bfloat16', 'float16', 'float32':
        assert f'channel_shift 512x64x48, {dtype}' in names


def test_the_table_has_every_width_and_precision():
    names = list(speed.items(torch.device('cuda'), 64, False))
    for kind in 'ADC, forward', 'ADC, forward + backward':
        for dtype in 'bfloat16', 'float32', 'tf32':
            for size in '64x64x48', '128x32x24', '256x16x12', '512x8x6':
                assert f'{kind}, {dtype}, {size}' in names
    assert {'torchvision deform_conv2d, 64x64x48', 'mmcv deform_conv2d, 64x64x'
            '48', 'channel_shift, 512x64x48', 'grid_sample, 512x64x48'
            } < set(names)
    # What training uses comes first.
    assert names[0] == 'ADC, forward + backward, bfloat16, 64x64x48'


def test_an_item_of_speed_gives_its_rows(cpu_kernels, monkeypatch):
    monkeypatch.setattr(speed, 'SMALL', Size(3, 4, 5))
    items = speed.items(CPU, 1, True)
    result = items['ADC, forward, tf32, 3x4x5']()
    row, = result['rows']
    assert result['status'] == 'ok' and row['dtype'] == 'tf32'
    assert row['bar'] is None and min(row['peaks']) > 0


def test_a_peer_that_is_not_installed_is_skipped(cpu_kernels, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    items = speed.items(CPU, 1, True)
    result = items[f'mmcv deform_conv2d, {speed.SMALL}']()
    assert result['status'] == 'skipped' and 'mmcv.ops' in result['reason']


def test_a_worker_takes_the_package_of_its_plan(monkeypatch, tmp_path):
    """And not one of the folder it is started in."""
    other = tmp_path / 'mmdense'
    other.mkdir()
    (other / '__init__.py').write_text('raise ImportError("the wrong one")')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, 'WORKER', ['-m', 'mmdense.version'])
    worker = plan.Worker(False, time.monotonic() + 60)
    # It says nothing, and so ends.
    with pytest.raises(RuntimeError) as error:
        worker.hello()
    assert 'the wrong one' not in str(error.value)


def test_a_machine_without_openmmlab_is_enough():
    code = ('import sys\n'
            'for name in ("mmengine", "mmcv", "mmpose", "mmseg", "mmdet"):\n'
            '    sys.modules[name] = None\n'
            'import mmdense.analysis.benchmarks.check_gpu.worker')
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


def test_a_slow_start_takes_no_share_from_what_comes_before_speed(run):
    found = run(
        budget=10, worker='import time\ntime.sleep(4)\n' + WORKER,
        accuracy=['good 1'], speed=['good 2'])
    assert [result.name for result in found.results] == ['good 1', 'good 2']
    assert found.held
