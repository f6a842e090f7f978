"""Pictures of what the feature shifting modules of a network have learned.

They are Figures 5 to 7 of the paper of :mod:`mmdense.analysis.feature_shift`,
drawn for any network.
"""
from pathlib import Path

import numpy as np

from mmdense.analysis.feature_shift import THRESHOLD, Learned, Window, related


def write(learned: Learned, folder: Path) -> None:
    """Draw everything that was measured.

    Args:
        learned (Learned): From :func:`.feature_shift.measure_config`.
        folder (Path): Gets offsets.png (Figure 5) and related.png, the
            offsets that each keypoint depends on, where channels are
            shifted; contributions.png (Figure 6) and field.png (Figure 7).
    """
    if learned.offsets:
        plot_offsets(learned.offsets, folder / 'offsets.png')
    own = learned.offsets.get(learned.module)
    if own is not None:
        rows = related(learned.scores['shifted'])
        plot_offsets(
            {keypoint: own[row] for keypoint, row in zip(
                learned.keypoints, rows, strict=True)},
            folder / 'related.png')
    plot_contributions(learned.contributions, learned.keypoints,
                       folder / 'contributions.png')
    plot_fields(learned.picture, learned.points, learned.fields,
                learned.windows, folder / 'field.png')


def _panels(number: int, columns: int = 5, side: float = 2.6):
    from matplotlib.figure import Figure
    columns = min(columns, number)
    rows = -(-number // columns)
    figure = Figure(
        figsize=(side * columns, side * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[number:]:
        axes.set_axis_off()
    return figure, panels


def plot_offsets(offsets: dict[str, np.ndarray], path: str | Path) -> None:
    """Draw each set of offsets (K, 2) in a panel of its own (Figure 5)."""
    figure, panels = _panels(len(offsets))
    limit = max(
        [1.0] + [np.abs(o).max() for o in offsets.values() if len(o)])
    for axes, (name, offset) in zip(panels, offsets.items(), strict=False):
        axes.scatter(offset[:, 1], offset[:, 0], s=4)
        axes.set(xlim=(-limit, limit), ylim=(limit, -limit), aspect='equal')
        axes.set_title(name, fontsize=8)
        axes.axhline(0, linewidth=.3, color='grey')
        axes.axvline(0, linewidth=.3, color='grey')
        axes.set_xlabel('dx (pixel of the map)', fontsize=7)
        axes.set_ylabel('dy (pixel of the map)', fontsize=7)
    figure.savefig(path, dpi=120)


def plot_contributions(counts: dict[str, np.ndarray], keypoints: list[str],
                       path: str | Path) -> None:
    """Draw the number of related channels by keypoint (Figure 6)."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 4), layout='constrained')
    axes, at = figure.subplots(), np.arange(len(keypoints))
    width = 0.8 / len(counts)
    for k, (name, count) in enumerate(counts.items()):
        axes.bar(at + k * width, count, width, label=name)
    axes.set_xticks(at + 0.4, keypoints, rotation=60, fontsize=8)
    axes.set_xlabel('keypoint')
    axes.set_ylabel(f'number of channels with a score above {THRESHOLD}')
    axes.legend()
    figure.savefig(path, dpi=120)


def plot_fields(nonlocal_map: np.ndarray, points: list[tuple[int, int]],
                fields: list[np.ndarray], windows: list[Window],
                path: str | Path) -> None:
    """Draw a non-local map, and field and window of each point (Figure 7)."""
    figure, panels = _panels(1 + 2 * len(points), columns=1 + 2 * len(points))
    height, width = nonlocal_map.shape
    panels[0].imshow(nonlocal_map)
    panels[0].set_title('non-local map', fontsize=8)
    for k, (point, field, at) in enumerate(
            zip(points, fields, windows, strict=True)):
        panels[0].plot(point[1], point[0], '.', color=f'C{k + 1}')
        first, second = panels[1 + 2 * k:3 + 2 * k]
        first.imshow(field)
        first.set_title(f'field at {point}', fontsize=8)
        energy = np.abs(at.energy())  # saturation has no sign
        energy = energy / max(energy.max(), 1e-30)
        second.scatter(
            at.positions[:, 1], at.positions[:, 0], s=6, c=energy,
            cmap='Reds', edgecolors='grey', linewidths=.2)
        second.set(xlim=(0, width), ylim=(height, 0), aspect='equal')
        second.set_title(f'window at {point}', fontsize=8)
    for axes in panels:
        axes.set_xlabel('column (pixel of the map)', fontsize=7)
        axes.set_ylabel('row (pixel of the map)', fontsize=7)
    figure.savefig(path, dpi=120)
