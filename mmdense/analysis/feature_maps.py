"""Feature maps of any module for one image, as pictures."""
import difflib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    'maps_of_module', 'module_names', 'network_image', 'plot_maps', 'reduced'
]

REDUCTIONS = dict(
    mean=lambda maps: maps.mean(0), max=lambda maps: maps.max(0))


def module_names(model: nn.Module) -> dict[str, str]:
    """Return the dotted name and the class of every module, in order."""
    return {
        name: type(module).__name__
        for name, module in model.named_modules() if name
    }


def maps_of_module(model: nn.Module, name: str,
                   predict: Callable[[], object]) -> list[np.ndarray]:
    """Return the output maps of a module for one image.

    Args:
        model (nn.Module): Model of any host.
        name (str): Dotted name of the module.
        predict (Callable): Runs the network once on one image.

    Returns:
        list[np.ndarray]: Each output map (C, H, W), float32; those of the
        first call, if there are several (test-time flips).

    Raises:
        ValueError: If there is no such module (the message lists similar
            names), the module does not run, or its output is not a map.
    """
    modules = dict(model.named_modules())
    if not name or name not in modules:
        near = difflib.get_close_matches(name, modules, n=5, cutoff=0.4)
        raise ValueError(f'the network has no module {name!r}' +
                         (f'; the nearest are {", ".join(near)}' if near else
                          '; --list prints all'))
    outputs, forward = [], modules[name].forward

    def noted(*args, **kwargs):
        outputs.append(forward(*args, **kwargs))
        return outputs[-1]

    # No forward hook: the hosts' heads call their own `forward`, past it.
    with mock.patch.object(modules[name], 'forward', noted), torch.no_grad():
        predict()
    kind = type(modules[name]).__name__
    if not outputs:
        raise ValueError(f'{name} ({kind}) does not run on this image')
    maps = [t for t in _tensors(outputs[0]) if t.dim() == 4]
    if not maps:
        shapes = [tuple(t.shape) for t in _tensors(outputs[0])]
        raise ValueError(f'{name} ({kind}) puts out no map (N, C, H, W) but '
                         f'{shapes or type(outputs[0]).__name__}')
    return [t[0].float().cpu().numpy() for t in maps]


def network_image(model: nn.Module,
                  predict: Callable[[], object]) -> np.ndarray:
    """Return the image that the network gets: cropped, resized and padded.

    Args:
        model (nn.Module): Model of any host.
        predict (Callable): Runs the network once on one image.

    Returns:
        np.ndarray: (H, W, 3), RGB, uint8. The normalisation is not undone; the
        values are stretched to the whole range.
    """
    seen = []
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs.get('inputs', *args[:1])),
        with_kwargs=True)
    try:
        with torch.no_grad():
            predict()
    finally:
        handle.remove()
    image = seen[0][0].float().cpu().permute(1, 2, 0)
    low, high = image.min(), image.max()
    image = (image - low) / (high - low).clamp(min=1e-6)
    return (255 * image).round().byte().numpy()


def _tensors(output) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, dict):
        output = list(output.values())
    if not isinstance(output, list | tuple):
        return []
    return [tensor for part in output for tensor in _tensors(part)]


def reduced(maps: np.ndarray,
            channels: str | list[int]) -> dict[str, np.ndarray]:
    """Select or reduce the channels of a map to draw.

    Args:
        maps (np.ndarray): (C, H, W).
        channels (str | list[int]): ``'mean'``, ``'max'``, or the numbers of
            channels.

    Returns:
        dict[str, np.ndarray]: Title to (H, W).

    Raises:
        ValueError: If there is no such channel.
    """
    if isinstance(channels, str):
        return {f'{channels} of {len(maps)} channels':
                REDUCTIONS[channels](maps)}
    wrong = [c for c in channels if not 0 <= c < len(maps)]
    if wrong:
        raise ValueError(f'--channels must be 0 to {len(maps) - 1}, got '
                         f'{", ".join(map(str, wrong))}')
    return {f'channel {c}': maps[c] for c in channels}


def plot_maps(image: np.ndarray, maps: dict[str, np.ndarray], title: str,
              path: str | Path) -> None:
    """Draw maps in a grid, each by itself and over the image.

    Args:
        image (np.ndarray): Result of :func:`network_image`, which the maps
            cover.
        maps (dict[str, np.ndarray]): Result of :func:`reduced`.
        title (str): Title of the picture.
        path (str | Path): File to write.
    """
    from matplotlib.figure import Figure
    columns = min(4, len(maps))
    rows = -(-len(maps) // columns)
    height, width = image.shape[:2]
    figure = Figure(
        figsize=(5.2 * columns, .6 + 2.6 * rows * height / width + .5 * rows),
        layout='constrained')
    figure.suptitle(title, fontsize=9)
    panels = figure.subplots(rows, 2 * columns, squeeze=False).ravel()
    for axes in panels[2 * len(maps):]:
        axes.set_axis_off()
    for k, (name, values) in enumerate(maps.items()):
        alone, over = panels[2 * k:2 * k + 2]
        drawn = alone.imshow(values, cmap='viridis')
        figure.colorbar(drawn, ax=alone, shrink=.7, label='activation')
        alone.set_title(name, fontsize=8)
        alone.set_xlabel(f'column (pixel of {width / values.shape[1]:g})')
        alone.set_ylabel(f'row (pixel of {height / values.shape[0]:g})')
        over.imshow(image)
        over.imshow(
            cv2.resize(values, (width, height),
                       interpolation=cv2.INTER_LINEAR),
            cmap='jet', alpha=.5)
        over.set_xlabel("x (pixel of the network's image)")
        over.set_ylabel("y (pixel of the network's image)")
    figure.savefig(path, dpi=120)
