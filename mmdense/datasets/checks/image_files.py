"""Checks of image files: their headers, and whether they decode."""
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from PIL import Image, UnidentifiedImageError

# Pillow knows these by name, and little of what they hold.
_CONTAINERS = ('.bufr', '.fit', '.fits', '.grib', '.h5', '.hdf')
# EXIF's tag, and the first of the orientations that exchange the sides.
_ORIENTATION, _LYING = 274, 5


@dataclass(frozen=True)
class ImageFile:
    """What the header of an image file tells.

    Attributes:
        fault (str | None): Its fault, if there is one.
        size (tuple | None): Width and height as they are stored.
        kind (str): Format, mode and orientation; a loader reads files of one
            kind in the same way.
        plain (bool): Whether it has at most 8 bits and three channels.
        lying (bool): Whether its EXIF orientation swaps width and height.
    """
    fault: str | None = None
    size: tuple[int, int] | None = None
    kind: str = ''
    plain: bool = True
    lying: bool = False


def _is_image_name(path: str | Path) -> bool:
    """Return whether Pillow or OpenCV reads files with this suffix."""
    suffix = Path(path).suffix.lower()
    Image.init()
    if Image.EXTENSION.get(suffix) in Image.OPEN:
        return suffix not in _CONTAINERS
    try:
        return cv2.haveImageWriter(str(path))
    except cv2.error:  # OpenEXR, unless an environment variable allows it
        return False


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Let Pillow open images of any size."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def look_at(path: str | Path, decode: bool) -> ImageFile:
    """Read an image file's header.

    Pillow checks the formats it knows, because OpenCV fills a truncated file
    up without an error. Other formats (TIFF of floats) are read with OpenCV. A
    file whose suffix neither knows (``.npy``, ``.nii.gz``) must only exist and
    not be empty.

    Args:
        path (str | Path): The file.
        decode (bool): Whether to read the whole file.
    """
    if not Path(path).is_file():
        return ImageFile('no such file')
    if not Path(path).stat().st_size:
        return ImageFile('the file is empty')
    if not _is_image_name(path):
        return ImageFile()
    with _any_size():
        try:
            with Image.open(path) as image:
                found = _described(image)
                if decode:
                    image.load()
                return found
        except UnidentifiedImageError as error:
            return _by_opencv(path, error)
        except Exception as error:  # whatever a decoder makes of broken bytes
            return ImageFile(f'does not decode: {error}')


def _described(image: Image.Image) -> ImageFile:
    """Describe an opened image without reading its pixels."""
    # Pillow's own mode has 8 bits for colours of 16; how they are stored
    # stands in the arguments of its decoder.
    stored = f'{image.mode} {[tile[3] for tile in image.tile]}'
    deep = image.mode[:1] in 'IF' or ';16' in stored
    # A PNG without EXIF data would be read to its end for them.
    turned = 1
    if 'exif' in image.info or image.format == 'TIFF':
        turned = image.getexif().get(_ORIENTATION, 1)
    return ImageFile(
        size=image.size,
        kind=f'{image.format} {image.mode} {deep} {turned}',
        plain=not deep and len(image.getbands()) in (1, 3),
        lying=turned >= _LYING)


def _by_opencv(path: str | Path, error: Exception) -> ImageFile:
    """Describe a file with OpenCV, after Pillow's ``error``."""
    try:
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        return ImageFile(f'does not decode: {error}')
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return ImageFile(
        size=pixels.shape[1::-1],
        kind=f'{Path(path).suffix} {pixels.dtype} {channels}',
        plain=pixels.itemsize == 1 and channels < 4)


def file_fault(path: str | Path,
               decode: bool) -> tuple[str | None, tuple | None]:
    """Return the fault of an image file, and its (width, height) as stored.

    Args:
        path (str | Path): The file.
        decode (bool): Whether to read the whole file.

    Returns:
        tuple: The fault, None if there is none, and the size, None if it
        cannot be read.
    """
    found = look_at(path, decode)
    return found.fault, found.size
