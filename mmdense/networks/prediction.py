"""What a trained network says about images: pictures, and numbers beside."""
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

from mmdense.engine.data_check import file_fault

__all__ = [
    'Host', 'Predictions', 'boxes_by_image', 'host_of', 'image_files',
    'predict_images'
]

HOSTS = ('mmpose', 'mmseg', 'mmdet')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')


class Host(Protocol):
    """What a host's ``prediction`` module holds."""

    def check(self, config: Config) -> None:
        """Raise ValueError where its networks cannot be asked."""

    def predict(self, model: nn.Module, image: str | np.ndarray,
                boxes: np.ndarray | None) -> BaseDataElement:
        """The host's answer for one image.

        A file is read by the config's own loader, which pixels (H, W, 3),
        blue-green-red, pass by.
        """

    def instances(self, sample: BaseDataElement, names: list[str]) -> list:
        """The same as plain values."""

    def names(self, meta: dict) -> list[str]:
        """Of its classes or keypoints."""

    def drawing(self, threshold: float) -> dict:
        """Arguments of the host's visualizer; below a score, nothing."""


@dataclass
class Predictions:
    """Answers for a folder of images.

    Attributes:
        names (list[str]): Of classes or keypoints.
        images (list[dict]): Of each image its file name, width, height and
            ``instances``.
        skipped (dict[str, str]): File name to what was wrong with it.
    """
    names: list[str]
    images: list[dict] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def host_of(config: Config) -> Host:
    """The ``prediction`` module of a config's host.

    Raises:
        ValueError: If it has none, or its networks cannot be asked.
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
    """The image at a path, or the images right in a folder, by name.

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
    """The boxes of a COCO annotation file.

    Args:
        path (str | Path): JSON with ``images`` and ``annotations``.

    Returns:
        dict[str, np.ndarray]: File name without folders to (N, 4), corners
        x1, y1, x2, y2 in pixels.

    Raises:
        ValueError: If the file is no such JSON.
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
    """The hosts print which file they load by which backend."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _canvas(file: Path, pipeline: list[dict]) -> np.ndarray | None:
    """What is drawn on, turned as the config's loader turns the image.

    Args:
        file (Path): An image. Its network reads it by the pipeline's loader.
        pipeline (list[dict]): Of the test data set.

    Returns:
        np.ndarray | None: (H, W, 3), blue-green-red, or None if OpenCV reads
        no image.
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
    """Draw a network's answers into copies of images.

    The network reads them by its config's own pipeline, as a test does.

    Args:
        model (nn.Module): Of :func:`~mmdense.networks.trained.load_network`.
        host (Host): Knows how its networks are asked.
        files (list[Path]): Images.
        out (Path): Folder for the pictures, under the images' names.
        boxes (dict, optional): Of :func:`boxes_by_image`, for a network that
            wants a person at a time; without them a person fills the image.
        threshold (float): Draw nothing with a lower score.

    Returns:
        Predictions: Also of what was not drawn for its low score. An image
        that the host cannot process is skipped.

    Raises:
        ValueError: If a picture would replace its image, nothing names the
            classes, or the config's visualizer does not build.
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
