"""Dilation rates of a pose network by the size of the person.

Source: Luo et al., Adaptive Dilated Convolution for Human Pose Estimation,
Section IV-A3 and Figure 6. The persons are those of the test data set, sorted
by the area of their boxes (the paper's three groups hold ten times as many as
COCO's val2017 has annotated persons, so its boxes are detections).

A rate is what ``rate_regression`` puts out. Each person is one crop, run once
without flipping.
"""
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from scipy.stats import rankdata
from torch import Tensor, inference_mode, nn

from mmdense.checkpoints.reading import load_weights
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.networks import build_model

GROUPS = ('small', 'medium', 'large')
# In square pixels of the image; a box on the bound belongs to the larger.
AREA_BOUNDS = (32**2, 96**2)


@dataclass
class RateStatistics:
    """Rates of P persons in B layers.

    Attributes:
        layers (list[str]): Dotted names of the adaptive convolutions, in the
            network's order.
        areas (np.ndarray): (P,), of the boxes, in square pixels.
        means (np.ndarray): (P, B), mean over a layer's rates.
        channel_means (list[np.ndarray]): (3, g) each, mean over the persons
            of each group, in the order of ``GROUPS``; NaN for an empty one.
        channel_stds (list[np.ndarray]): Likewise, standard deviation.
    """
    layers: list[str]
    areas: np.ndarray
    means: np.ndarray
    channel_means: list[np.ndarray]
    channel_stds: list[np.ndarray]

    def people(self) -> np.ndarray:
        """Return the number of persons of each group, (3,)."""
        return np.bincount(
            np.digitize(self.areas, AREA_BOUNDS), minlength=len(GROUPS))

    def layer_means(self) -> np.ndarray:
        """Return the mean rate of each group in each layer, (3, B)."""
        return np.stack([m.mean(1) for m in self.channel_means], 1)

    def correlations(self) -> tuple[float, np.ndarray]:
        """Rank correlation of box area and mean rate.

        Returns:
            tuple[float, np.ndarray]: Over the mean of all layers, and (B,)
            of each layer; NaN where the rates are all the same.
        """
        return (rank_correlation(self.areas, self.means.mean(1)),
                np.array([rank_correlation(self.areas, m)
                          for m in self.means.T]))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's correlation; ties share their mean rank."""
    a, b = rankdata(a), rankdata(b)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale else float('nan')


@contextlib.contextmanager
def recorded_rates(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Record the rates of the last forward pass in a dictionary.

    Yields:
        dict[str, Tensor]: Name of each adaptive convolution to its rates,
        (N, g), on the CPU.

    Raises:
        ValueError: If the network has no adaptive dilated convolution.
    """
    regressions = {
        name: module.rate_regression
        for name, module in model.named_modules()
        if isinstance(module, AdaptiveDilatedConv2d)
    }
    if not regressions:
        raise ValueError(
            f'{type(model).__name__} has no adaptive dilated convolution')
    rates = {}
    with contextlib.ExitStack() as hooks:
        for name, module in regressions.items():
            handle = module.register_forward_hook(
                lambda _, __, out, name=name: rates.update(
                    {name: out.detach().cpu()}))
            hooks.callback(handle.remove)
        yield rates


def measure(model: nn.Module, batches: Iterable,
            forward: Callable) -> RateStatistics:
    """Run batches of persons and gather the rates.

    Only sums are kept: the rates of all detections of COCO would fill
    gigabytes.

    Args:
        model (nn.Module): Holds the adaptive convolutions, in eval mode.
        batches (Iterable): Batches for ``forward``.
        forward (Callable): Runs the model once on one batch and returns the
            areas of its N persons, (N,).

    Returns:
        RateStatistics: Over all persons.

    Raises:
        ValueError: If there is no person, or no adaptive dilated convolution.
    """
    areas, means, sums = [], [], {}
    with recorded_rates(model) as rates, inference_mode():
        for batch in batches:
            area = np.asarray(forward(batch), float)
            group = np.digitize(area, AREA_BOUNDS)
            areas.append(area)
            means.append(
                np.stack([r.mean(1).numpy() for r in rates.values()], 1))
            for name, rate in rates.items():
                rate = rate.double().numpy()
                total = sums.setdefault(
                    name, np.zeros((2, len(GROUPS), rate.shape[1])))
                np.add.at(total[0], group, rate)
                np.add.at(total[1], group, rate**2)
    if not areas:
        raise ValueError('there is nobody in the data set')
    areas = np.concatenate(areas)
    people = np.bincount(
        np.digitize(areas, AREA_BOUNDS), minlength=len(GROUPS))[:, None]
    with np.errstate(invalid='ignore'):
        first = [s[0] / people for s in sums.values()]
        second = [s[1] / people for s in sums.values()]
    stds = [np.sqrt(np.maximum(b - a**2, 0))
            for a, b in zip(first, second, strict=True)]
    return RateStatistics(list(sums), areas, np.concatenate(means), first,
                          stds)


def measure_config(config: Config,
                   checkpoint: str,
                   device: str = 'cpu') -> RateStatistics:
    """Gather the rates of a trained network on its test data set.

    Args:
        config (Config): Config of a top-down network of mmpose.
        checkpoint (str): Its weights, a path or URL.
        device (str): Device to run on.

    Returns:
        RateStatistics: Over all persons of the test data set.

    Raises:
        ValueError: If the config does not build, has no top-down data set or
            no adaptive dilated convolution, or the checkpoint does not fit.
    """
    scope = config.get('default_scope')
    data = config.get('test_dataloader') or {}
    if scope != 'mmpose' or data.get('dataset', {}).get(
            'data_mode', 'topdown') != 'topdown':
        raise ValueError('config must be top-down, of mmpose, since rates '
                         f'go by the person, got default_scope {scope!r}')
    model = build_model(config)
    with recorded_rates(model):
        pass  # tell at once that there is nothing to measure
    load_weights(model, checkpoint)
    model.to(device)

    def forward(batch):
        batch = model.data_preprocessor(batch, False)
        model(**batch, mode='tensor')
        boxes = np.concatenate(
            [s.gt_instances.bboxes for s in batch['data_samples']])
        return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    with DefaultScope.overwrite_default_scope(scope):
        return measure(model, Runner.build_dataloader(data), forward)


def table(statistics: RateStatistics) -> str:
    """Return mean rates and rank correlations by layer as Markdown."""
    people = statistics.people()
    overall, correlations = statistics.correlations()
    lines = [
        '| layer | rates | ' + ' | '.join(
            f'{group} ({n})' for group, n in zip(GROUPS, people, strict=True))
        + ' | rank correlation with area |',
        '| --- |' + ' ---: |' * (len(GROUPS) + 2),
    ]
    rows = zip(
        statistics.layers,
        statistics.channel_means,
        statistics.layer_means().T,
        correlations,
        strict=True)
    for name, channels, means, correlation in rows:
        values = [f'{v:.3f}' for v in (*means, correlation)]
        lines.append(f'| {name} | {channels.shape[1]} | ' +
                     ' | '.join(values) + ' |')
    values = [f'{v:.3f}'
              for v in (*statistics.layer_means().mean(1), overall)]
    lines.append('| mean of the layers | | ' + ' | '.join(values) + ' |')
    return '\n'.join(lines).replace('nan', '-') + '\n'


def as_json(statistics: RateStatistics) -> dict:
    """Return everything measured for JSON; NaN becomes null."""
    def plain(values):
        values = np.asarray(values, float)
        return np.where(np.isfinite(values), values, None).tolist()

    overall, correlations = statistics.correlations()
    rows = zip(
        statistics.layers,
        statistics.layer_means().T,
        correlations,
        statistics.channel_means,
        statistics.channel_stds,
        strict=True)
    return dict(
        groups=GROUPS,
        people=statistics.people().tolist(),
        area_range=[statistics.areas.min(), statistics.areas.max()],
        rank_correlation=plain(overall),
        layers={
            name: dict(
                mean=plain(mean),
                rank_correlation=plain(correlation),
                channel_means=plain(means),
                channel_stds=plain(stds))
            for name, mean, correlation, means, stds in rows
        })


def plot_channels(statistics: RateStatistics, layers: list[str],
                  path: str | Path) -> None:
    """Draw the mean rate of every channel, a panel a layer (Figure 6).

    The band is one standard deviation over the persons of a group.
    """
    from matplotlib.figure import Figure
    columns = min(4, len(layers))
    rows = -(-len(layers) // columns)
    figure = Figure(figsize=(4 * columns, 2.8 * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(layers):]:
        axes.set_axis_off()
    for axes, name in zip(panels, layers, strict=False):
        k = statistics.layers.index(name)
        for group, mean, std in zip(
                GROUPS,
                statistics.channel_means[k],
                statistics.channel_stds[k],
                strict=True):
            at = np.arange(len(mean))
            line, = axes.plot(at, mean, label=group, linewidth=0.8)
            axes.fill_between(
                at, mean - std, mean + std, color=line.get_color(), alpha=.15)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel('channel')
        axes.set_ylabel('dilation rate (of nominal)')
    panels[0].legend(title='person')
    figure.savefig(path, dpi=150)


def plot_layers(statistics: RateStatistics, path: str | Path) -> None:
    """Draw each group's mean rate, layer by layer."""
    from matplotlib.figure import Figure
    figure = Figure(
        figsize=(max(6, 0.3 * len(statistics.layers)), 5),
        layout='constrained')
    axes = figure.subplots()
    at = np.arange(len(statistics.layers))
    for group, means in zip(GROUPS, statistics.layer_means(), strict=True):
        axes.plot(at, means, marker='.', label=group)
    axes.set_xticks(at, statistics.layers, rotation=90, fontsize=7)
    axes.set_xlabel('adaptive convolution, in the order of the network')
    axes.set_ylabel('mean dilation rate (multiple of the nominal dilation)')
    axes.legend(title='person')
    figure.savefig(path, dpi=150)
