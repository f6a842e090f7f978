"""Predictions of a trained network: pictures and numbers."""
import contextlib
import importlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import VISUALIZERS, DefaultScope
from mmengine.structures import BaseDataElement
from torch import nn
from tqdm import tqdm

from mmdense.datasets.checks.image_files import file_fault

__all__ = [
    'Host', 'Predictions', 'boxes_by_image', 'host_of', 'image_files',
    'predict_images'
]

HOSTS = ('mmpose', 'mmseg', 'mmdet')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')


class Host(Protocol):
    """The functions of a host's ``prediction`` module."""

    def check(self, config: Config) -> None:
        """Raise ValueError if a config cannot be used for prediction."""

    def predict(self, model: nn.Module, image: str | np.ndarray,
                boxes: np.ndarray | None) -> BaseDataElement:
        """Return the prediction of the host for one image.

        Files are read by the config's loader. Arrays (H, W, 3) in BGR order
        skip it.
        """

    def instances(self, sample: BaseDataElement, names: list[str]) -> list:
        """Return a prediction as plain values."""

    def names(self, meta: dict) -> list[str]:
        """Return the names of the classes or keypoints."""

    def drawing(self, threshold: float) -> dict:
        """Return the arguments of the host's visualizer for a least score."""


@dataclass
class Predictions:
    """Predictions for a folder of images.

    Attributes:
        names (list[str]): Names of the classes or keypoints.
        images (list[dict]): File name, width, height and ``instances`` of each
            image.
        skipped (dict[str, str]): Files that were skipped, and why.
    """
    names: list[str]
    images: list[dict] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


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
        raise ValueError(f'{path}: no such image or folder')
    files = sorted(
        p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f'{path} holds no images ({", ".join(SUFFIXES)})')
    return files


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


def predict_images(model: nn.Module,
                   host: Host,
                   files: list[Path],
                   out: Path,
                   boxes: dict[str, np.ndarray] | None = None,
                   threshold: float = 0.3) -> Predictions:
    """Draw the predictions of a network into copies of images.

    Images are prepared by the pipeline of the config, as in a test.

    Args:
        model (nn.Module): Result of
            :func:`~mmdense.networks.trained.load_network`.
        host (Host): Functions of the host.
        files (list[Path]): Images.
        out (Path): Folder for the pictures, which keep the names of the
            images.
        boxes (dict, optional): Result of :func:`boxes_by_image`, for a
            top-down pose network; without it one person fills the image.
        threshold (float): Smallest score that is drawn.

    Returns:
        Predictions: All predictions, also those with a score too low to be
        drawn. An image that the host cannot process is skipped.

    Raises:
        ValueError: If a picture would replace its image, the names of the
            classes are unknown, or the visualizer of the config does not
            build.
    """
    if any(file.resolve().parent == out.resolve() for file in files):
        raise ValueError(f'--out {out} is where the images are: the pictures '
                         'would replace them')
    out.mkdir(parents=True, exist_ok=True)
    try:
        found = Predictions(host.names(model.dataset_meta))
    except KeyError as error:
        raise ValueError('neither the checkpoint nor the test data set says '
                         f'what is found: no {error}') from None
    scope = model.cfg.default_scope
    with DefaultScope.overwrite_default_scope(scope), _quiet():
        try:
            visualizer = VISUALIZERS.build(
                dict(
                    model.cfg.get('visualizer') or {},
                    vis_backends=[],
                    name=f'predict_images_{id(found)}'))
            visualizer.dataset_meta = model.dataset_meta
            if scope == 'mmpose':
                visualizer.set_dataset_meta(model.dataset_meta)
        except Exception as error:  # a host's constructor may raise anything
            raise ValueError('the visualizer of the config does not build: '
                             f'{type(error).__name__}: {error}') from error
        for file in tqdm(files, unit='image', disable=None):
            # OpenCV fills a cut off JPEG up with grey, and says nothing.
            fault, _ = file_fault(file, decode=True)
            if fault:
                found.skipped[file.name] = fault
                continue
            image = _canvas(file, model.cfg.test_dataloader.dataset.pipeline)
            if image is None:
                found.skipped[file.name] = 'cannot be read as an image'
                continue
            if boxes is not None and file.name not in boxes:
                found.skipped[file.name] = 'is not among the images with boxes'
                continue
            height, width = image.shape[:2]
            whole = np.array([[0, 0, width, height]], np.float32)
            try:
                sample = host.predict(
                    model, str(file),
                    whole if boxes is None else boxes[file.name])
                instances = host.instances(sample, found.names)
                visualizer.add_datasample(
                    file.name,
                    image[..., ::-1],
                    sample,
                    draw_gt=False,
                    out_file=str(out / file.name),
                    **host.drawing(threshold))
            except Exception as error:  # whatever the host stops at
                found.skipped[file.name] = (
                    f'({width} x {height}) cannot be processed: '
                    f'{type(error).__name__}: {" ".join(str(error).split())}')
                continue
            found.images.append(
                dict(
                    image=file.name,
                    width=width,
                    height=height,
                    instances=instances))
    return found
