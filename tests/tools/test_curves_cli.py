"""tools/curves.py draws what a training logged."""
import json

import cv2
import pytest
from by_path import load_tool

from mmdense.analysis import training_curves


@pytest.fixture(scope='module')
def tool():
    return load_tool('curves')


def log(folder, run, records):
    path = folder / run / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, records)) + '\n')
    return path


def by_epoch(first, last, loss=1.):
    for step in range(first, last + 1):
        yield dict(lr=.1 / step, loss=loss / step, loss_mask=.5, acc=.1,
                   time=9., epoch=(step + 9) // 10, iter=step, step=step)
        if step % 10 == 0:
            yield {'PCK': step / 100, 'coco/AP (L)': -1., 'time': 9.,
                   'step': step // 10}


def test_a_resumed_training_is_one_curve(tmp_path):
    log(tmp_path, '20260102_000000', by_epoch(11, 30, loss=2.))
    log(tmp_path, '20260101_000000', by_epoch(1, 15))
    curves = training_curves.read(training_curves.scalar_files(tmp_path))
    assert list(curves.training) == ['lr', 'loss', 'loss_mask', 'acc']
    loss = curves.training['loss']
    assert sorted(loss) == list(range(1, 31))
    assert loss[10] == pytest.approx(.1)
    # Logged by both runs: the later one went on.
    assert loss[12] == pytest.approx(2 / 12)
    assert curves.metrics == {'PCK': {1: .1, 2: .2, 3: .3}}
    assert curves.metric_step == 'epoch'


def test_a_training_begun_anew_leaves_nothing_of_the_one_before(tmp_path):
    log(tmp_path, '20260101_000000', by_epoch(1, 30))
    log(tmp_path, '20260102_000000', by_epoch(1, 12, loss=2.))
    curves = training_curves.read(training_curves.scalar_files(tmp_path))
    assert curves.training['loss'] == {
        step: pytest.approx(2 / step) for step in range(1, 13)}
    assert curves.metrics == {'PCK': {1: .1}}


def test_a_training_by_iteration_has_its_metrics_by_iteration(tmp_path):
    path = log(tmp_path, 'run', [
        dict(lr=.1, loss=1., iter=50, step=50), dict(mIoU=3., step=50)])
    curves = training_curves.read(training_curves.scalar_files(path))
    assert curves.metric_step == 'iteration'
    assert curves.metrics == {'mIoU': {50: 3.}}


def test_every_panel_has_a_name_on_both_axes(tmp_path, monkeypatch):
    from matplotlib.figure import Figure
    figures = []
    monkeypatch.setattr(Figure, 'savefig',
                        lambda self, *_, **__: figures.append(self))
    log(tmp_path, 'run', by_epoch(1, 30))
    curves = training_curves.read(training_curves.scalar_files(tmp_path))
    training_curves.plot(curves, tmp_path / 'x.png')
    panels = [a for a in figures[0].axes if a.axison]
    assert [(a.get_xlabel(), a.get_ylabel()) for a in panels] == [
        ('iteration', 'loss'), ('iteration', 'learning rate'),
        ('iteration', 'acc (training)'),
        ('epoch', 'metric, as the evaluator prints it')]
    assert [line.get_label() for line in panels[0].lines] == [
        'loss', 'loss_mask']
    assert list(panels[3].lines[0].get_ydata()) == [.1, .2, .3]


def test_the_picture_is_written(tool, tmp_path, capsys):
    log(tmp_path, 'run', by_epoch(1, 30))
    out = tmp_path / 'new' / 'curves.png'
    assert tool.main([str(tmp_path), '--out', str(out)]) == 0
    assert 'lr, loss, loss_mask, acc, PCK' in capsys.readouterr().out
    assert cv2.imread(str(out)).std() > 10


def test_a_line_that_a_stopped_run_left_half_is_left_out(
        tool, tmp_path, capsys):
    stopped = log(tmp_path, '20260101_000000', by_epoch(1, 15))
    whole = training_curves.read([stopped])
    with stopped.open('a') as file:
        file.write('{"lr": 0.1, "loss": 2.0, "it')
    log(tmp_path, '20260102_000000', by_epoch(11, 30))
    assert training_curves.read([stopped]).training == whole.training
    argv = [str(tmp_path), '--out', str(tmp_path / 'curves.png')]
    assert tool.main(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == (
        f'left out: {stopped}, line 17 is no whole record\n')
    assert 'wrote' in captured.out


def test_a_picture_that_cannot_be_written_is_one_line(tool, tmp_path, capsys):
    log(tmp_path, 'run', by_epoch(1, 30))
    (tmp_path / 'file').write_text('')
    out = tmp_path / 'file' / 'curves.png'
    assert tool.main([str(tmp_path), '--out', str(out)]) == 2
    captured = capsys.readouterr()
    assert str(out.parent) in captured.err and captured.err.count('\n') == 1


@pytest.mark.parametrize('text, message', [
    (None, 'got no */vis_data/scalars.json'),
    ('no json\n{"step": 1}',
     "line 1 must be a record of mmengine with a step, got 'no js"),
    ('no json', 'there is nothing to draw'),
    ('{"loss": 1}', 'line 1 must be a record'),
    ('', 'there is nothing to draw'),
])
def test_what_is_no_log_is_one_line_and_status_two(
        tool, tmp_path, capsys, text, message):
    if text is not None:
        log(tmp_path, 'run', []).write_text(text)
    argv = [str(tmp_path), '--out', str(tmp_path / 'x.png')]
    assert tool.main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1
