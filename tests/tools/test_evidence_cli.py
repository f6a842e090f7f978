"""The command around mmdense.analysis.evidence."""
import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'evidence.py'


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('evidence_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def one_comparison(tool, tmp_path, monkeypatch):
    """A comparison whose data is not there."""
    arms = []
    for name in ('base', 'new'):
        config = tmp_path / f'{name}.py'
        config.write_text(
            f'model = dict(name={name!r})\n'
            'train_cfg = dict(max_iters=4)\n'
            'train_dataloader = dict(dataset=dict(data_root="no/such"))\n')
        arms.append(tool.evidence.Arm(name, config))
    known = dict(
        c=tool.evidence.Comparison(
            'c', 'mmseg', 'some data', 'a claim (Table 0)', 'base',
            tuple(arms), (tool.evidence.Metric('mIoU', 'mIoU', 'higher'), )))
    monkeypatch.setattr(tool.evidence, 'comparisons', lambda _: known)
    return tmp_path


def test_an_unknown_comparison_is_an_error_that_names_the_known(
        tool, one_comparison, capsys):
    assert tool.main(['nothing']) == 2
    assert "no comparison 'nothing'; there are c" in capsys.readouterr().err


def test_the_list_says_what_is_compared(
        tool, one_comparison, capsys):
    assert tool.main(['--list']) == 0
    assert 'c (mmseg): base against new\n    some data' in (
        capsys.readouterr().out)


def test_a_report_of_nothing_says_so_and_trains_nothing(
        tool, one_comparison, capsys):
    work = one_comparison / 'w'
    assert tool.main(['c', '--report', '--work-dir', str(work)]) == 0
    assert '| new | - | - | 0 | - | - | - |' in capsys.readouterr().out
    assert sorted(p.name for p in work.iterdir()) == [
        'c.json', 'c.md', 'c.png']


def test_failed_runs_decide_the_exit_status(
        tool, one_comparison, capsys):
    work = one_comparison / 'w'
    assert tool.main(
        ['c', '--seeds', '7', '--work-dir', str(work)]) == 1
    out, err = capsys.readouterr()
    assert 'base.py reads no/such' in out
    assert err == 'failed: c, base, seed 7; c, new, seed 7\n'


@pytest.mark.parametrize('arguments', [[], ['c', '--list']])
def test_wants_a_name_or_the_list(tool, one_comparison, arguments):
    with pytest.raises(SystemExit) as stop:
        tool.main(arguments)
    assert stop.value.code == 2
