"""Images, videos and boxes to predict, of whatever form they have."""
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv import VideoReader

__all__ = [
    'boxes_by_image', 'boxes_of', 'canvas', 'image_files', 'images_of',
    'is_video', 'open_video', 'whole_box'
]

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg',
          '.wmv')


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


def canvas(file: Path, pipeline: list[dict]) -> np.ndarray | None:
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


def whole_box(pixels: np.ndarray) -> np.ndarray:
    """Return the box of a whole image, as the only one."""
    height, width = pixels.shape[:2]
    return np.array([[0, 0, width, height]], np.float32)
