"""Predictions of a trained network: pictures, videos and numbers."""
import contextlib
import importlib
import io
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from mmcv import VideoReader
from mmengine.config import Config
from mmengine.registry import VISUALIZERS, DefaultScope
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer
from torch import nn
from tqdm import tqdm

from mmdense.datasets.checks.image_files import file_fault
from mmdense.networks.config_types import HOSTS
from mmdense.networks.prediction_inputs import canvas, whole_box

__all__ = ['Host', 'Predictions', 'host_of', 'predict_images', 'predict_video']

# Of a video that does not say how many frames a second it has.
FRAME_RATE = 30.


class Host(Protocol):
    """The functions of a host's ``prediction`` module."""

    def check(self, config: Config) -> None:
        """Raise ValueError if a config cannot be used for prediction."""

    def predict(self, model: nn.Module, images: Sequence[str | np.ndarray],
                boxes: Sequence[np.ndarray]) -> list[BaseDataElement]:
        """Return the host's predictions, one an image.

        Files are read by the config's loader. Arrays (H, W, 3) in BGR order
        skip it. A pose network has boxes (N, 4) for each image.
        """

    def instances(self, sample: BaseDataElement, names: list[str]) -> list:
        """Return a prediction as plain values."""

    def names(self, meta: dict) -> list[str]:
        """Return the names of the classes or keypoints."""

    def drawing(self, threshold: float) -> dict:
        """Return the arguments of the host's visualizer for a least score."""


@dataclass
class Predictions:
    """Predictions for images, or for the frames of a video.

    Attributes:
        names (list[str]): Names of the classes or keypoints.
        images (list[dict]): A record for each image or frame, with ``image``
            (the file's name; of an array, its number as ``00000000.jpg``),
            ``frame`` (its number, from 0; in a video alone), ``width``,
            ``height`` and ``instances``, all plain values.
        skipped (dict[str, str]): Images and frames that were skipped, and
            why.
        data_samples (list[BaseDataElement]): The host's own results, one for
            each record, if they were asked for.
    """
    names: list[str]
    images: list[dict] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    data_samples: list[BaseDataElement] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write all but the data samples as JSON."""
        path.write_text(
            json.dumps(
                dict(
                    names=self.names,
                    images=self.images,
                    skipped=self.skipped)))


@dataclass
class _Image:
    """An image that was opened: what is drawn on, and what is predicted."""
    record: dict
    name: str
    pixels: np.ndarray
    source: str | np.ndarray
    boxes: np.ndarray


def host_of(config: Config) -> Host:
    """Return the ``prediction`` module of a config's host.

    Raises:
        ValueError: If it has none, or the config cannot be used for
            prediction.
    """
    scope = config.get('default_scope')
    if scope not in HOSTS:
        raise ValueError(f'{config.filename}: default_scope must be one of '
                         f'{", ".join(HOSTS)}, got {scope!r}')
    host = importlib.import_module(f'mmdense.{scope}.prediction')
    try:
        host.check(config)
    except ValueError as error:
        raise ValueError(f'{config.filename}: {error}') from None
    return host


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the lines that the hosts print when they load a file."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _batches(images: Iterable[_Image], size: int) -> Iterator[list[_Image]]:
    images = iter(images)
    while batch := list(itertools.islice(images, size)):
        yield batch


def _visualizer(model: nn.Module) -> Visualizer:
    """Build the visualizer of the config."""
    try:
        visualizer = VISUALIZERS.build(
            dict(
                model.cfg.get('visualizer') or {},
                vis_backends=[],
                name=f'predictions_{id(model)}'))
        visualizer.dataset_meta = model.dataset_meta
        if model.cfg.default_scope == 'mmpose':
            visualizer.set_dataset_meta(model.dataset_meta)
    except Exception as error:  # a host's constructor may raise anything
        raise ValueError('the visualizer of the config does not build: '
                         f'{type(error).__name__}: {error}') from error
    return visualizer


def _start(model: nn.Module, host: Host) -> Predictions:
    try:
        return Predictions(host.names(model.dataset_meta))
    except KeyError as error:
        raise ValueError('neither the checkpoint nor the test data set says '
                         f'what is found: no {error}') from None


def _answers(model: nn.Module, host: Host,
             batch: list[_Image]) -> list[BaseDataElement | Exception]:
    """Predict a batch; if the host stops at it, each image alone."""
    try:
        return host.predict(model, [image.source for image in batch],
                            [image.boxes for image in batch])
    except Exception as error:  # whatever the host stops at
        if len(batch) == 1:
            return [error]
        return [
            answer for image in batch
            for answer in _answers(model, host, [image])
        ]


def _predict(model: nn.Module, host: Host, found: Predictions,
             images: Iterable[_Image], out: Path | None,
             writer: cv2.VideoWriter | None, threshold: float,
             batch_size: int, return_datasamples: bool) -> None:
    """Predict, draw and record images, of which few are open at a time.

    They are drawn into the video that ``writer`` writes, or else into the
    folder ``out``, if it is given. What was found is written there, too.
    """
    scope = model.cfg.default_scope
    with DefaultScope.overwrite_default_scope(scope), _quiet():
        visualizer = None if out is None else _visualizer(model)
        for batch in _batches(images, batch_size):
            answers = _answers(model, host, batch)
            for image, sample in zip(batch, answers, strict=True):
                try:
                    if isinstance(sample, Exception):
                        raise sample
                    instances = host.instances(sample, found.names)
                    if visualizer:
                        visualizer.add_datasample(
                            image.name,
                            image.pixels[..., ::-1],
                            sample,
                            draw_gt=False,
                            out_file=None if writer else str(out / image.name),
                            **host.drawing(threshold))
                    if writer:
                        writer.write(visualizer.get_image()[..., ::-1])
                except Exception as error:  # whatever the host stops at
                    width, height = image.record['width'], image.record[
                        'height']
                    found.skipped[image.name] = (
                        f'({width} x {height}) cannot be processed: '
                        f'{type(error).__name__}: '
                        f'{" ".join(str(error).split())}')
                    if writer:  # so that the others keep their time
                        writer.write(image.pixels)
                else:
                    found.images.append(
                        dict(image.record, instances=instances))
                    if return_datasamples:
                        found.data_samples.append(sample)
    if out is not None:
        found.write(out / 'predictions.json')


def _make_out(out: Path, images: Sequence[Path | np.ndarray]) -> None:
    """Make the folder; raise if pictures would replace images, or each other.
    """
    files = [image for image in images if isinstance(image, Path)]
    if any(file.resolve().parent == out.resolve() for file in files):
        raise ValueError(f'out must be another folder than that of the images '
                         f'(the pictures would replace them), got {out}')
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise ValueError('images must have different names to be drawn into '
                         f'one folder, got {", ".join(sorted(names))}')
    out.mkdir(parents=True, exist_ok=True)


def _open(image: Path | np.ndarray, number: int,
          pipeline: list[dict]) -> _Image | str:
    """Open an image, or return its fault."""
    if isinstance(image, np.ndarray):
        name, pixels, source = f'{number:08d}.jpg', image, image
    else:
        # OpenCV fills a cut off JPEG up with grey, and says nothing.
        fault, _ = file_fault(image, decode=True)
        pixels = None if fault else canvas(image, pipeline)
        if pixels is None:
            return fault or 'cannot be read as an image'
        name, source = image.name, str(image)
    height, width = pixels.shape[:2]
    return _Image(
        dict(image=name, width=width, height=height), name, pixels, source,
        whole_box(pixels))


def predict_images(model: nn.Module,
                   host: Host,
                   images: Sequence[Path | np.ndarray],
                   out: Path | None = None,
                   boxes: dict[str, np.ndarray] | Sequence[np.ndarray]
                   | None = None,
                   threshold: float = 0.3,
                   batch_size: int = 1,
                   return_datasamples: bool = False) -> Predictions:
    """Predict images, and draw the predictions into copies of them.

    Images are prepared by the pipeline of the config, as in a test.

    Args:
        model (nn.Module): Result of
            :func:`~mmdense.networks.trained.load_network`.
        host (Host): Functions of the host.
        images (Sequence[Path | np.ndarray]): Result of
            :func:`~mmdense.networks.prediction_inputs.images_of`.
        out (Path, optional): Folder for the pictures, which keep the names of
            the images, and for ``predictions.json``; without it nothing is
            written.
        boxes (optional): For a top-down pose network: result of
            :func:`~mmdense.networks.prediction_inputs.boxes_of`. Without it
            one person fills the image.
        threshold (float): Smallest score that is drawn.
        batch_size (int): Images that the network gets at once, if their
            prepared sizes are equal.
        return_datasamples (bool): Whether to keep the host's results, too.

    Returns:
        Predictions: All predictions, also those with a score too low to be
        drawn. An image that the host cannot process is skipped.

    Raises:
        ValueError: If a picture would replace its image or another picture,
            the names of the classes are unknown, or the visualizer of the
            config does not build.
    """
    if out is not None:
        _make_out(out, images)
    found = _start(model, host)
    pipeline = model.cfg.test_dataloader.dataset.pipeline

    def opened():
        for k, image in enumerate(tqdm(images, unit='image', disable=None)):
            one = _open(image, k, pipeline)
            name = image.name if isinstance(image, Path) else one.name
            if isinstance(one, _Image) and boxes is not None:
                if not isinstance(boxes, dict):
                    one.boxes = boxes[k]
                elif name in boxes:
                    one.boxes = boxes[name]
                else:
                    one = 'is not among the images with boxes'
            if isinstance(one, _Image):
                yield one
            else:
                found.skipped[name] = one

    _predict(model, host, found, opened(), out, None, threshold, batch_size,
             return_datasamples)
    return found


def predict_video(model: nn.Module,
                  host: Host,
                  path: Path,
                  video: VideoReader,
                  out: Path | None = None,
                  threshold: float = 0.3,
                  batch_size: int = 1,
                  return_datasamples: bool = False) -> Predictions:
    """Predict the frames of a video, and draw the predictions into a copy.

    Frames are read, predicted and written ``batch_size`` at a time. They skip
    the loader of the config. A pose network takes a whole frame as one
    person.

    Args:
        model (nn.Module): Result of
            :func:`~mmdense.networks.trained.load_network`.
        host (Host): Functions of the host.
        path (Path): The video.
        video (VideoReader): Result of
            :func:`~mmdense.networks.prediction_inputs.open_video` for it.
        out (Path, optional): Folder for the video with the predictions, which
            has the name of the other and the suffix ``.mp4``, and for
            ``predictions.json``; without it nothing is written.
        threshold (float): Smallest score that is drawn.
        batch_size (int): Frames that the network gets at once.
        return_datasamples (bool): Whether to keep the host's results, too:
            those of all frames are then in memory.

    Returns:
        Predictions: One record a frame. A frame that the host cannot process
        is skipped; in the written video nothing is drawn into it.

    Raises:
        ValueError: If the written video would replace the other or cannot be
            written, the names of the classes are unknown, or the visualizer
            of the config does not build.
    """
    if out is not None:
        _make_out(out, [path])
    found = _start(model, host)

    def frames():
        frame = video.current_frame()  # the first
        while frame is not None:
            k = video.position - 1
            height, width = frame.shape[:2]
            yield _Image(
                dict(image=path.name, frame=k, width=width, height=height),
                f'{path.name}, frame {k}', frame, frame, whole_box(frame))
            frame = video.read()

    writer = out and _video_writer(out / f'{path.stem}.mp4', video)
    # A video may not say how many frames it has.
    counted = tqdm(frames(), total=max(video.frame_cnt, 0), unit='frame',
                   disable=None)
    try:
        _predict(model, host, found, counted, out, writer, threshold,
                 batch_size, return_datasamples)
    finally:
        if writer:
            writer.release()
    return found


def _video_writer(path: Path, video: VideoReader) -> cv2.VideoWriter:
    """Open a video to write, as large and as fast as another."""
    rate = video.fps
    if not math.isfinite(rate) or rate <= 0:
        rate = FRAME_RATE
    height, width = video.current_frame().shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, (width, height))
    if not writer.isOpened():
        raise ValueError(f'out must be a folder in which OpenCV can write a '
                         f'video, got {path.parent}')
    return writer
