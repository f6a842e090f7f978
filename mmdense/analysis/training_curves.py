"""Training curves, from the files of mmengine's LocalVisBackend."""
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ['Curves', 'plot', 'read', 'scalar_files']

# How long things took and where they stood: no curves.
NO_CURVES = {'time', 'data_time', 'memory', 'eta', 'iter', 'epoch', 'step'}
# What COCO's evaluation gives where there is nothing to evaluate.
NOTHING = -1


@dataclass
class Curves:
    """Values by name, each with its step.

    Attributes:
        training (dict[str, dict[int, float]]): Losses, learning rate and
            what else is logged while training; by iteration.
        metrics (dict[str, dict[int, float]]): Metrics of the validations.
        metric_step (str): Unit of their steps, ``'epoch'`` or ``'iteration'``.
        cut (list[str]): Last lines that a stopped run left unfinished, by file
            and number; they are ignored.
    """
    training: dict[str, dict[int, float]] = field(default_factory=dict)
    metrics: dict[str, dict[int, float]] = field(default_factory=dict)
    metric_step: str = 'iteration'
    cut: list[str] = field(default_factory=list)


def scalar_files(path: str | Path) -> list[Path]:
    """Return the scalar files of a work folder, oldest first.

    Raises:
        ValueError: If there are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    # mmengine names a run's folder by its time.
    files = sorted(path.glob('*/vis_data/scalars.json'))
    if not files:
        raise ValueError(
            f'{path} must be the work folder of a training, or its '
            'scalars.json, got no */vis_data/scalars.json in it')
    return files


def read(files: Iterable[Path]) -> Curves:
    """Read the records of a training's runs.

    If a run was resumed, records of earlier runs from that step on are
    dropped; a training that started again drops all of them. A last line that
    does not parse was cut off and is ignored.

    Raises:
        ValueError: If another line is not a record, or there is nothing to
            draw.
    """
    curves = Curves()
    for file in files:
        began = False
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                step = record['step']
            except (ValueError, KeyError, TypeError) as error:
                if isinstance(error, ValueError) and number == len(lines):
                    curves.cut.append(f'{file}, line {number}')
                    break
                raise ValueError(
                    f'{file}, line {number} must be a record of mmengine with '
                    f'a step, got {line[:60]!r}') from None
            # Validations are logged without an iteration; their step is the
            # epoch wherever the training counts epochs.
            training = 'iter' in record
            if training and 'epoch' in record:
                curves.metric_step = 'epoch'
            if training and not began:
                began = True
                _forget(curves.training, step)
                _forget(curves.metrics, record.get('epoch', step))
            into = curves.training if training else curves.metrics
            for name, value in record.items():
                if (name not in NO_CURVES and isinstance(value, int | float)
                        and (training or value != NOTHING)):
                    into.setdefault(name, {})[step] = value
    if not curves.training and not curves.metrics:
        raise ValueError('there is nothing to draw in '
                         f'{", ".join(map(str, files))}')
    return curves


def _forget(curves: dict[str, dict[int, float]], begin: int) -> None:
    for name, curve in list(curves.items()):
        curves[name] = {s: v for s, v in curve.items() if s < begin}
        if not curves[name]:
            del curves[name]


def _panels(curves: Curves) -> list[tuple[str, str, dict]]:
    """Return (axis below, axis beside, curves) of each panel."""
    losses = {n: c for n, c in curves.training.items() if 'loss' in n}
    rates = {n: c for n, c in curves.training.items()
             if n == 'lr' or n.endswith('_lr')}
    panels = [('iteration', 'loss', losses),
              ('iteration', 'learning rate', rates)]
    # Norms and accuracies have no scale in common.
    panels += [('iteration', f'{name} (training)', {name: curve})
               for name, curve in curves.training.items()
               if name not in losses and name not in rates]
    panels.append((curves.metric_step, 'metric, as the evaluator prints it',
                   curves.metrics))
    return [panel for panel in panels if panel[2]]


def plot(curves: Curves, path: str | Path) -> None:
    """Draw losses, learning rate, other training values and metrics."""
    from matplotlib.figure import Figure
    panels = _panels(curves)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.4 * columns, 3.6 * rows), layout='constrained')
    axes_of = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in axes_of[len(panels):]:
        axes.set_axis_off()
    for axes, (below, beside, drawn) in zip(axes_of, panels, strict=False):
        for name, curve in drawn.items():
            few = len(curve) < 40
            axes.plot(list(curve), list(curve.values()), label=name,
                      linewidth=1, marker='.' if few else None)
        axes.set_xlabel(below)
        axes.set_ylabel(beside)
        axes.grid(alpha=.3)
        if len(drawn) > 1:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)
