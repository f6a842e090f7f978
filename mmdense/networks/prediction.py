"""Predictions of a trained network: pictures, videos and numbers."""
import contextlib
import importlib
import io
import itertools
import json
import math
import sys
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
from mmengine.utils import ProgressBar
from mmengine.visualization import Visualizer
from torch import nn

from mmdense.datasets.checks.image_files import file_fault

__all__ = [
    'Host', 'Predictions', 'boxes_by_image', 'boxes_of', 'host_of',
    'image_files', 'images_of', 'is_video', 'open_video', 'predict_images',
    'predict_video', 'whole_box'
]

HOSTS = ('mmpose', 'mmseg', 'mmdet')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg',
          '.wmv')
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


def image_files(path: str | Path) -> list[Path]:
    """Return the image at a path, or the images of a folder, by name.

    Raises:
        ValueError: If there are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError('images must be an image, a folder or a video, got '
                         f'{path}: no such image or folder')
    files = sorted(
        p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError('images must be a folder with images '
                         f'({", ".join(SUFFIXES)}), got {path}, which holds '
                         'none')
    return files


def images_of(
    images: str | Path | np.ndarray | Sequence[str | Path | np.ndarray]
) -> list[Path | np.ndarray]:
    """Return files and arrays, of whatever form the images have.

    Args:
        images: A file; a folder; an array (H, W, 3), uint8, BGR; or a list of
            files and arrays.

    Raises:
        TypeError: If it is anything else, or an array has another dtype.
        ValueError: If there is no image, a file does not exist, or an array
            has another shape.
    """
    if isinstance(images, str | Path):
        return image_files(images)
    if isinstance(images, list | tuple):
        if not images:
            raise ValueError('images must have at least one image, got none')
        return [_one(image, f'images[{k}]') for k, image in enumerate(images)]
    return [_one(images, 'images')]


def _one(image: str | Path | np.ndarray, name: str) -> Path | np.ndarray:
    """Return one image, a path as such; see :func:`images_of`."""
    if isinstance(image, str | Path):
        if not Path(image).is_file():
            raise ValueError(f'{name} must be an image file, got {image}: no '
                             'such file')
        return Path(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = (f'an array of {image.dtype}' if isinstance(image, np.ndarray)
               else type(image).__name__)
        raise TypeError(f'{name} must be a path or an array of uint8, got '
                        f'{got}')
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f'{name} must be an array (H, W, 3), BGR, got shape '
                         f'{image.shape}')
    return image


def is_video(path: object) -> bool:
    """Return whether this is the path of a video, by its suffix."""
    return isinstance(path, str | Path) and Path(path).is_file() and Path(
        path).suffix.lower() in VIDEOS


def open_video(path: str | Path) -> VideoReader:
    """Open a video and read its first frame.

    Raises:
        ValueError: If there is none.
    """
    video = VideoReader(str(path))
    if video.read() is None:
        raise ValueError('images must be a video with frames, got '
                         f'{path}, of which OpenCV reads none')
    return video


def boxes_by_image(path: str | Path) -> dict[str, np.ndarray]:
    """Read the boxes of a COCO annotation file.

    Args:
        path (str | Path): JSON with ``images`` and ``annotations``.

    Returns:
        dict[str, np.ndarray]: File name without folders to (N, 4), corners
        x1, y1, x2, y2 in pixels.

    Raises:
        ValueError: If the file is not such JSON.
    """
    try:
        coco = json.loads(Path(path).read_text())
        boxes = {image['id']: [] for image in coco['images']}
        for annotation in coco['annotations']:
            x, y, width, height = annotation['bbox']
            boxes[annotation['image_id']].append(
                [x, y, x + width, y + height])
        return {
            Path(image['file_name']).name:
            np.array(boxes[image['id']], np.float32).reshape(-1, 4)
            for image in coco['images']
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} must be a COCO annotation file, with images and '
            f'annotations: {type(error).__name__}: {error}') from error


def boxes_of(boxes: str | Path | np.ndarray | Sequence[np.ndarray],
             images: int) -> dict[str, np.ndarray] | list[np.ndarray]:
    """Return the boxes of people, of whatever form they have.

    Args:
        boxes: A COCO annotation file; an array (N, 4) of x1, y1, x2, y2, for
            one image; or a list of them.
        images (int): How many images there are.

    Returns:
        dict | list: By file name from a file, else an array an image.

    Raises:
        ValueError: If the file is not such a file, there is not one array an
            image, or an array has another shape or boxes without a pixel.
    """
    if isinstance(boxes, str | Path):
        return boxes_by_image(boxes)
    boxes = [boxes] if isinstance(boxes, np.ndarray) else list(boxes)
    if len(boxes) != images:
        raise ValueError(f'boxes must have an array for each of {images} '
                         f'images, got {len(boxes)}')
    boxes = [np.asarray(one, np.float32) for one in boxes]
    for one in boxes:
        if one.ndim != 2 or one.shape[1] != 4:
            raise ValueError('boxes must be arrays (N, 4) of x1, y1, x2, y2, '
                             f'got shape {one.shape}')
        if not (one[:, :2] < one[:, 2:]).all():
            raise ValueError('boxes must have x1 < x2 and y1 < y2 (corners, '
                             f'not sizes), got {one.tolist()}')
    return boxes


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the lines that the hosts print when they load a file."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _canvas(file: Path, pipeline: list[dict]) -> np.ndarray | None:
    """Read an image to draw on, rotated as the config's loader rotates it.

    Args:
        file (Path): An image.
        pipeline (list[dict]): Pipeline of the test data set.

    Returns:
        np.ndarray | None: (H, W, 3), BGR, or None if OpenCV cannot read the
        image.
    """
    flag = cv2.IMREAD_COLOR
    for step in pipeline:
        # mmcv's other values have OpenCV turn an image as its EXIF data says.
        if step.get('color_type') in ('unchanged', 'color_ignore_orientation',
                                      'grayscale_ignore_orientation'):
            flag |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imread(str(file), flag)
    except cv2.error:  # more pixels than it takes
        return None


class _Nowhere(io.TextIOBase):
    """Takes text and forgets it."""

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[ProgressBar]:
    """Show a bar on the standard error, if that is a terminal."""
    bar = ProgressBar(
        total, file=sys.stderr if sys.stderr.isatty() else _Nowhere())
    try:
        yield bar
    finally:
        bar.file.write('\n')


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
             images: Iterable[_Image], bar: ProgressBar, out: Path | None,
             writer: cv2.VideoWriter | None, threshold: float,
             batch_size: int, return_datasamples: bool) -> None:
    """Predict, draw and record images, of which few are open at a time.

    They are drawn into the video that ``writer`` writes, or else into the
    folder ``out``, if it is given.
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
                bar.update()


def _check_out(out: Path, images: Sequence[Path | np.ndarray]) -> None:
    """Raise if pictures would replace images, or each other."""
    files = [image for image in images if isinstance(image, Path)]
    if any(file.resolve().parent == out.resolve() for file in files):
        raise ValueError(f'out must be another folder than that of the images '
                         f'(the pictures would replace them), got {out}')
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise ValueError('images must have different names to be drawn into '
                         f'one folder, got {", ".join(sorted(names))}')
    out.mkdir(parents=True, exist_ok=True)


def whole_box(pixels: np.ndarray) -> np.ndarray:
    """Return the box of a whole image, as the only one."""
    height, width = pixels.shape[:2]
    return np.array([[0, 0, width, height]], np.float32)


def _open(image: Path | np.ndarray, number: int,
          pipeline: list[dict]) -> _Image | str:
    """Open an image, or return its fault."""
    if isinstance(image, np.ndarray):
        name, pixels, source = f'{number:08d}.jpg', image, image
    else:
        # OpenCV fills a cut off JPEG up with grey, and says nothing.
        fault, _ = file_fault(image, decode=True)
        pixels = None if fault else _canvas(image, pipeline)
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
        images (Sequence[Path | np.ndarray]): Result of :func:`images_of`.
        out (Path, optional): Folder for the pictures, which keep the names of
            the images, and for ``predictions.json``; without it nothing is
            written.
        boxes (optional): For a top-down pose network: result of
            :func:`boxes_by_image`, or an array (N, 4) for each image. Without
            it one person fills the image.
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
        _check_out(out, images)
    found = _start(model, host)
    pipeline = model.cfg.test_dataloader.dataset.pipeline

    def opened(bar):
        for k, image in enumerate(images):
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
                bar.update()

    with _progress(len(images)) as bar:
        _predict(model, host, found, opened(bar), bar, out, None, threshold,
                 batch_size, return_datasamples)
    if out is not None:
        found.write(out / 'predictions.json')
    return found


def predict_video(model: nn.Module,
                  host: Host,
                  path: Path,
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
        ValueError: If the video has no frames, the written one would replace
            it or cannot be written, the names of the classes are unknown, or
            the visualizer of the config does not build.
    """
    video = open_video(path)
    if out is not None:
        _check_out(out, [path])
    found = _start(model, host)

    def frames():
        frame = video.current_frame()  # the first
        for k in itertools.count():
            if frame is None:
                return
            height, width = frame.shape[:2]
            yield _Image(
                dict(image=path.name, frame=k, width=width, height=height),
                f'{path.name}, frame {k}', frame, frame, whole_box(frame))
            frame = video.read()

    writer = out and _video_writer(out / f'{path.stem}.mp4', video)
    try:
        with _progress(max(video.frame_cnt, 0)) as bar:
            _predict(model, host, found, frames(), bar, out, writer, threshold,
                     batch_size, return_datasamples)
    finally:
        if writer:
            writer.release()
    if out is not None:
        found.write(out / 'predictions.json')
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
