"""What the feature shifting modules of a trained network have learned.

Source: T. Qi et al., *Spatial Shortcut Network for Human Pose Estimation*,
arXiv:1904.03141, Section 4.1, Figures 5 to 7, and section 1 of its
supplement.
"""
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmdense.modules.feature_shift import ChannelShift, FeatureShiftModule

THRESHOLD = 0.5


def shift_modules(model: nn.Module) -> dict[str, FeatureShiftModule]:
    """Return the feature shifting modules of a network by dotted name.

    Raises:
        ValueError: If it has none.
    """
    found = {
        name: module for name, module in model.named_modules()
        if isinstance(module, FeatureShiftModule)
    }
    if not found:
        raise ValueError(
            f'{type(model).__name__} has no feature shifting module')
    return found


def learned_offsets(model: nn.Module) -> dict[str, np.ndarray]:
    """Return (dy, dx) of every shifted channel, (K, 2), by module (Figure 5).

    Modules without shifting are left out.
    """
    return {
        name: module.shift.offset.detach().cpu().numpy()
        for name, module in shift_modules(model).items()
        if isinstance(module.shift, ChannelShift)
    }


@contextlib.contextmanager
def maps_of(module: FeatureShiftModule) -> Iterator[dict[str, Tensor]]:
    """Record the maps of a module in the last forward in a dictionary.

    Yields:
        dict[str, Tensor]: ``input`` P, (N, C, H, W); ``shifted`` S and
        ``attention`` F (if there is any), (N, K, H, W); ``nonlocal``, what
        the last convolution adds to P, (N, C, H, W).
    """
    maps, parts = {}, {'shifted': module.shift, 'nonlocal': module.beta}
    if module.attention is not None:
        parts['attention'] = module.attention
    handles = [
        module.register_forward_pre_hook(
            lambda _, inputs: maps.update(input=inputs[0]))
    ] + [
        part.register_forward_hook(
            lambda _, __, out, name=name: maps.update({name: out}))
        for name, part in parts.items()
    ]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def keypoint_scores(model: nn.Module, module: FeatureShiftModule,
                    predict: Callable[[], Tensor]) -> dict[str, np.ndarray]:
    """Score how much each channel of a module matters for each keypoint.

    The supplement's recipe: copy the predicted maps, put zero where the map
    of keypoint m is highest, take the mean squared error between copy and
    prediction, and its gradient with respect to a channel's map, averaged
    over positions. We sum the images' squared errors apart, take the
    gradient's size image by image (signs of different images would cancel),
    average it over the images, and divide each channel by its largest score.

    Args:
        model (nn.Module): In eval mode.
        module (FeatureShiftModule): A part of it.
        predict (Callable): Runs the model once, with gradients, and returns
            heatmaps (N, M, H, W).

    Returns:
        dict[str, np.ndarray]: For each of the maps of :func:`maps_of`, the
        scores (M, channels), 0 to 1.

    Raises:
        ValueError: If the module is not inserted, so that it has no maps.
    """
    if not module.is_inserted:
        raise ValueError('the module is not inserted: the checkpoint is from '
                         'before its insertion')
    with torch.enable_grad(), maps_of(module) as maps:
        predicted = predict()
        names = list(maps)
        scores = {name: [] for name in names}
        size = predicted[0].numel()
        for m in range(predicted.shape[1]):
            # Only the changed pixel has an error: its own square.
            peaks = predicted[:, m].flatten(1).amax(1)
            gradients = torch.autograd.grad(
                peaks.square().sum() / size, [maps[name] for name in names],
                retain_graph=True)
            for name, gradient in zip(names, gradients, strict=True):
                scores[name].append(gradient.mean((2, 3)).abs().mean(0))
    model.zero_grad(set_to_none=True)
    stacked = {name: torch.stack(s).cpu() for name, s in scores.items()}
    return {
        name: (s / s.amax(0).clamp(min=1e-30)).numpy()
        for name, s in stacked.items()
    }


def related(scores: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Return which channels are related to which keypoint, (M, channels)."""
    return scores > threshold


def contributions(scores: dict[str, np.ndarray],
                  threshold: float = THRESHOLD) -> dict[str, np.ndarray]:
    """Count the channels above the threshold, (M,) each (Figure 6)."""
    return {
        name: related(s, threshold).sum(1) for name, s in scores.items()
    }


@dataclass
class Window:
    """The convolution that a module computes at a position of a channel.

    Attributes:
        positions (np.ndarray): (K, 2), row and column read, in pixels of the
            module's map; they may lie outside.
        weights (np.ndarray): (K, C), ``w^FSM`` of Equation 5 there, with the
            scale of the norm behind the gate.
        bias (float): Bias of that norm.
    """
    positions: np.ndarray
    weights: np.ndarray
    bias: float

    def energy(self) -> np.ndarray:
        """Return the sum of the weights over the input channels, (K,).

        As the paper prints it, without a square: it has a sign.
        """
        return self.weights.sum(1)


@torch.no_grad()
def window(module: FeatureShiftModule, maps: dict[str, Tensor], channel: int,
           point: tuple[int, int], image: int = 0) -> Window:
    """Return the convolution window at a point of a non-local map.

    Args:
        module (FeatureShiftModule): In eval mode.
        maps (dict[str, Tensor]): Maps of a forward pass, from :func:`maps_of`.
        channel (int): Channel of the non-local map.
        point (tuple[int, int]): Row and column.
        image (int): Index of the image in the batch.
    """
    norm, count = module.gate_norm, len(module.alpha.weight)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    beta = module.beta.weight[channel, :, 0, 0]
    gate = torch.ones_like(scale)
    if 'attention' in maps:
        gate = maps['attention'][image, :, point[0], point[1]]
    weights = (beta * scale * gate)[:, None] * module.alpha.weight[..., 0, 0]
    offset = torch.zeros(count, 2)
    if isinstance(module.shift, ChannelShift):
        offset = module.shift.offset.cpu()
    bias = (beta * (norm.bias - norm.running_mean * scale)).sum()
    return Window((torch.tensor(point) - offset).numpy(),
                  weights.cpu().numpy(), float(bias))


def effective_field(maps: dict[str, Tensor],
                    channel: int,
                    point: tuple[int, int],
                    image: int = 0) -> np.ndarray:
    """Return what a point of a non-local map depends on, (H, W) (Figure 7).

    The gradient with respect to the module's input, squared and summed over
    its channels.

    Args:
        maps (dict[str, Tensor]): Maps of a forward pass with gradients, from
            :func:`maps_of`.
        channel (int): Channel of the non-local map.
        point (tuple[int, int]): Row and column.
        image (int): Index of the image in the batch.
    """
    value = maps['nonlocal'][image, channel, point[0], point[1]]
    gradient, = torch.autograd.grad(value, maps['input'], retain_graph=True)
    return gradient[image].square().sum(0).cpu().numpy()


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
