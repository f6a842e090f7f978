"""Faults of a data set, found before a training starts, and named."""
import contextlib
import itertools
import json
import math
from collections.abc import Iterator
from numbers import Real
from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner
from PIL import Image, UnidentifiedImageError

from mmdense.registry import HOOKS

# Pillow knows these by name, and little of what they hold.
_CONTAINERS = ('.bufr', '.fit', '.fits', '.grib', '.h5', '.hdf')


def _is_image_name(path: str | Path) -> bool:
    """Whether a library for images reads files with this suffix at all."""
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
    """Pillow refuses large images, against crafted ones: not one's own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def file_fault(path: str | Path,
               decode: bool) -> tuple[str | None, tuple | None]:
    """What is wrong with an image file, and its (width, height).

    Pillow judges what it knows, because OpenCV fills up what was cut off and
    says nothing; what it does not know, OpenCV has to read (TIFF of floats).
    Of what neither knows by its suffix (``.npy``, ``.nii.gz``), no more is
    asked than to be there and not empty.

    Args:
        path (str | Path): The file.
        decode (bool): Whether to read it to its end.

    Returns:
        tuple: None where nothing is wrong, or no size can be read.
    """
    if not Path(path).is_file():
        return 'no such file', None
    if not Path(path).stat().st_size:
        return 'the file is empty', None
    if not _is_image_name(path):
        return None, None
    with _any_size():
        try:
            with Image.open(path) as image:
                if decode:
                    image.load()
                return None, image.size
        except UnidentifiedImageError as error:
            return _opencv_fault(path, error)
        except Exception as error:  # whatever a decoder makes of broken bytes
            return f'does not decode: {error}', None


def _opencv_fault(path: str | Path,
                  error: Exception) -> tuple[str | None, tuple | None]:
    """The same by OpenCV, after Pillow's ``error``."""
    try:
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        return f'does not decode: {error}', None
    return None, pixels.shape[1::-1]


def _not_finite(value, name: str) -> str | None:
    """The name of the first NaN or infinity inside an annotation."""
    if isinstance(value, dict):
        value = value.items()
    elif isinstance(value, list | tuple):
        value = enumerate(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == 'f':
        return None if np.isfinite(value).all() else name
    elif isinstance(value, Real):
        return None if math.isfinite(value) else name
    else:
        return None
    found = (_not_finite(part, f'{name}.{key}') for key, part in value)
    return next(filter(None, found), None)


def dataset_faults(dataset, decode: bool = False) -> Iterator[str]:
    """Look at every sample of a data set, without loading it.

    Image and label files are there and have a readable header, a label image
    has the size of its image, no number of an annotation is NaN or infinite,
    and no two annotations share an id: hosts name some of these when they
    meet them, hours later, and train on the others without a word.

    Args:
        dataset (Dataset): Of any host, or one that wraps it.
        decode (bool): Whether to read every image to its end, which finds
            what was cut off and takes as long as an epoch's loading.

    Yields:
        str: What is wrong, and with which file or annotation.
    """
    while not hasattr(dataset, 'get_data_info') or hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    path = Path(getattr(dataset, 'ann_file', None) or '')
    if path.suffix == '.json' and path.is_file():
        text = path.read_text()
        # mmdet leaves such a box out, and nobody knows. The words first:
        # looking at every number of a large set takes a minute.
        if 'NaN' in text or 'Infinity' in text:
            name = _not_finite(json.loads(text), path.name)
            if name:
                yield f'{path}: {name} is not finite'
    looked, ids = {}, set()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        sizes = []
        for key in ('img_path', 'seg_map_path'):
            path = info.get(key)
            if path is None or '://' in str(path):
                continue
            if path not in looked:
                looked[path] = file_fault(path, decode)
                if looked[path][0]:
                    yield f'{path}: {looked[path][0]}'
            sizes.append(looked[path][1])
        if len(sizes) == 2 and None not in sizes and sizes[0] != sizes[1]:
            yield (f'{info["seg_map_path"]}: is {sizes[1][0]} x {sizes[1][1]}'
                   f', its image {sizes[0][0]} x {sizes[0][1]}')
        # Only instances have one: in mmseg and mmdet a sample is an image.
        own = info.get('id')
        where = f'{info.get("img_path")}, sample {index}' + (
            '' if own is None else f', annotation {own}')
        if own is not None:
            if own in ids:
                yield f'{where}: the annotation id is there twice'
            ids.add(own)
        name = _not_finite(info, 'annotation')
        if name:
            yield f'{where}: {name} is not finite'


def config_faults(config, loader: str, decode: bool = False) -> Iterator[str]:
    """Look at the data set of one of a config's data loaders.

    Args:
        config (Config): Of any host.
        loader (str): ``'train_dataloader'`` and so on.
        decode (bool): See :func:`dataset_faults`.

    Yields:
        str: What is wrong, and with which file or annotation.
    """
    outer = config[loader].dataset
    inner = outer
    while 'dataset' in inner:
        inner = inner.dataset
    annotations = inner.get('ann_file')
    if isinstance(annotations, str) and annotations.endswith('.json'):
        path = Path(inner.get('data_root') or '', annotations)
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            yield f'{path}: no annotations: {error}'
            return
        # mmdet leaves such a box out, and nobody knows.
        name = _not_finite(content, path.name)
        if name:
            yield f'{path}: {name} is not finite'
            return
    try:
        with DefaultScope.overwrite_default_scope(config.default_scope):
            dataset = DATASETS.build(outer)
    except Exception as error:  # whatever a host makes of a broken set
        yield (f'{loader}: the data set does not build: '
               f'{type(error).__name__}: {error} (ann_file={annotations!r})')
        return
    yield from dataset_faults(dataset, decode)


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Stops a training before its first step if its data has faults.

    Looks at the training set and at the validation set, whose faults would
    show an epoch later.

    Args:
        decode (bool): Whether to read every image to its end as well.

    Raises:
        ValueError: Names the first ten faults of a set
            (:func:`dataset_faults`).
    """

    shown = 10

    def __init__(self, decode: bool = False):
        self.decode = decode

    def before_train(self, runner: Runner) -> None:
        """Look at both sets.

        Args:
            runner (Runner): Has built its data loaders.
        """
        self._check('training', runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            self._check('validation', runner.val_dataloader.dataset)

    def _check(self, name: str, dataset) -> None:
        faults = list(
            itertools.islice(
                dataset_faults(dataset, self.decode), self.shown + 1))
        if faults:
            more = ['...'] if len(faults) > self.shown else []
            raise ValueError(f'the {name} set has faults:\n' +
                             '\n'.join(faults[:self.shown] + more))
