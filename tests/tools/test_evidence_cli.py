"""The command around mmdense.analysis.evidence."""
import functools
import json

import pytest
from by_path import load_tool


@pytest.fixture
def tool():
    return load_tool('evidence')


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


def test_recorded_figures_stand_in_the_pages(
        tool, one_comparison, monkeypatch, capsys):
    work, configs = one_comparison / 'w', one_comparison / 'configs'
    page = configs / 'mmseg/evidence/some/README.md'
    page.parent.mkdir(parents=True)
    page.write_text(
        '# Some\n<!-- evidence: results c -->\n<!-- end of evidence -->\n')
    overall = one_comparison / 'README.md'
    overall.write_text('# All\n')
    results = one_comparison / 'results.json'
    results.write_text('{}')
    comparison = tool.evidence.comparisons(None)['c']
    for arm, value in zip(comparison.arms, (50., 52.), strict=True):
        folder = tool.evidence.run_folder(work, arm, arm.read(), 0)
        folder.mkdir(parents=True)
        (folder / 'result.json').write_text(
            json.dumps(dict(resumed=False, metrics=dict(mIoU=value))))
    monkeypatch.setattr(tool, 'CONFIGS', configs)
    for name in ('read_results', 'record'):
        monkeypatch.setattr(
            tool.evidence, name,
            functools.partial(getattr(tool.evidence, name), path=results))
    monkeypatch.setattr(
        'mmdense.analysis.evidence.pages.evidence_pages',
        lambda _: [overall, page])
    assert tool.main(['c', '--report', '--record', '--work-dir', str(work)
                      ]) == 0
    assert '| new | - | - | 1 | 52.00 | +2.00 | no difference shown |' in (
        page.read_text())
    assert f'{page}: tables written' in capsys.readouterr().out
    # What the page holds by hand is written over from the same figures.
    text = page.read_text()
    page.write_text(text.replace('52.00', '99.00'))
    assert tool.main(['--pages']) == 0
    assert page.read_text() == text
    assert overall.read_text() == '# All\n'


@pytest.mark.parametrize('arguments', [
    [], ['c', '--list'], ['c', '--pages'], ['--list', '--pages'],
    ['--pages', '--record']
])
def test_one_thing_is_asked_for(tool, one_comparison, arguments):
    with pytest.raises(SystemExit) as stop:
        tool.main(arguments)
    assert stop.value.code == 2
