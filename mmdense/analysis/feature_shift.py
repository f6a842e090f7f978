"""What the feature shifting modules of a trained network have learned.

Source: T. Qi et al., *Spatial Shortcut Network for Human Pose Estimation*,
arXiv:1904.03141, Section 4.1, Figures 5 to 7, and section 1 of its
supplement.
"""
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdense.checkpoints.reading import load_weights
from mmdense.modules.feature_shift import ChannelShift, FeatureShiftModule
from mmdense.networks import build_model

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


@dataclass
class Learned:
    """What one module of a network has learned, and the offsets of all.

    Attributes:
        module (str): Dotted name of the module.
        people (int): Number of persons that the scores are averaged over.
        keypoints (list[str]): Names, in the order of the scores.
        scores (dict[str, np.ndarray]): From :func:`keypoint_scores`.
        offsets (dict[str, np.ndarray]): From :func:`learned_offsets`.
        channel (int): Channel of the non-local map.
        picture (np.ndarray): (H, W), that channel for the first person.
        points (list[tuple[int, int]]): Rows and columns in it.
        fields (list[np.ndarray]): :func:`effective_field` of each point.
        windows (list[Window]): :func:`window` of each point.
    """
    module: str
    people: int
    keypoints: list[str]
    scores: dict[str, np.ndarray]
    offsets: dict[str, np.ndarray]
    channel: int
    picture: np.ndarray
    points: list[tuple[int, int]]
    fields: list[np.ndarray]
    windows: list[Window]

    @property
    def contributions(self) -> dict[str, np.ndarray]:
        """Number of related channels of each keypoint, by map."""
        return contributions(self.scores)

    def as_json(self) -> dict:
        """Return the numbers, without maps and windows."""

        def lists(arrays):
            return {key: value.tolist() for key, value in arrays.items()}

        return dict(
            module=self.module,
            people=self.people,
            channel=self.channel,
            points=self.points,
            keypoints=self.keypoints,
            contributions=lists(self.contributions),
            scores=lists(self.scores),
            offsets=lists(self.offsets))


def _first_people(config: Config, model: nn.Module,
                  number: int) -> tuple[Tensor, list[str]]:
    """Return images as the network takes them, and names of keypoints."""
    loader = dict(config.test_dataloader, batch_size=number, num_workers=0,
                  persistent_workers=False)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        loader = Runner.build_dataloader(loader)
        images = model.data_preprocessor(next(iter(loader)), False)['inputs']
    names = loader.dataset.metainfo['keypoint_id2name']
    return images, [names[i] for i in range(len(names))]


def _one_of(what: str, names, wanted: str) -> str:
    if wanted not in names:
        raise ValueError(f'measure_config: {what} must be one of '
                         f'{", ".join(names)}, got {wanted}')
    return wanted


def _inside(points: list[tuple[int, int]],
            shape: tuple[int, int]) -> list[tuple[int, int]]:
    for point in points:
        if not all(0 <= p < n for p, n in zip(point, shape, strict=True)):
            raise ValueError('measure_config: every point must be inside '
                             f'{shape}, got {tuple(point)}')
    return [(int(row), int(column)) for row, column in points]


def measure_config(config: Config,
                   checkpoint: str,
                   people: int = 16,
                   module: str | None = None,
                   predictor: str | None = None,
                   channel: int | None = None,
                   points: list[tuple[int, int]] | None = None) -> Learned:
    """Measure one module of a trained network on its test data set.

    Args:
        config (Config): Config of mmpose.
        checkpoint (str): Trained weights.
        people (int): The first persons of the test data set.
        module (str, optional): Dotted name; the last one of the first stage
            by default, just before the first early predictor.
        predictor (str, optional): Name of the predictor that is scored, the
            first by default.
        channel (int, optional): Channel of the non-local map, by default the
            one that varies most.
        points (list[tuple[int, int]], optional): Rows and columns of the
            map, by default its largest value.

    Raises:
        ValueError: If the checkpoint does not fit, or what is named is not
            there.
    """
    model = build_model(config)
    modules = shift_modules(model)
    if module is None:
        module = [name for name in modules if '.shift1_' in name][-1]
    chosen = modules[_one_of('module', modules, module)]
    load_weights(model, checkpoint)
    images, keypoints = _first_people(config, model, people)

    def predict() -> Tensor:
        outputs = model(images, None, mode='tensor')
        return outputs[_one_of(
            'predictor', outputs, predictor or next(iter(outputs)))]

    scores = keypoint_scores(model, chosen, predict)
    with maps_of(chosen) as maps:
        predict()
    nonlocal_maps = maps['nonlocal'][0].detach().numpy()
    if channel is None:
        channel = int(nonlocal_maps.std((1, 2)).argmax())
    if not 0 <= channel < len(nonlocal_maps):
        raise ValueError('measure_config: channel must be 0 to '
                         f'{len(nonlocal_maps) - 1}, got {channel}')
    picture = nonlocal_maps[channel]
    points = _inside(points or [
        np.unravel_index(picture.argmax(), picture.shape)], picture.shape)
    return Learned(
        module, len(images), keypoints, scores, learned_offsets(model),
        channel, picture, points,
        [effective_field(maps, channel, point) for point in points],
        [window(chosen, maps, channel, point) for point in points])
