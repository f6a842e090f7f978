"""Checks of a data set before a training starts."""
import copy
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmdense.datasets.checks.image_files import ImageFile, look_at
from mmdense.datasets.checks.labels import LabelCheck

__all__ = ['DataWarning', 'config_faults', 'dataset_faults', 'head_faults']


class DataWarning(str):
    """A fault that does not stop a training, but is likely a mistake."""


def _not_finite(value, name: str) -> str | None:
    """Return the name of the first NaN or infinity in an annotation."""
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


def _leaves(dataset, steps: Sequence[Callable] = ()) -> Iterator[tuple]:
    """Yield the data sets inside wrappers, and the steps of their samples.
    """
    own = getattr(dataset, 'pipeline', None) or []
    steps = [*getattr(own, 'transforms', own), *steps]
    parts = getattr(dataset, 'datasets', None)
    if not isinstance(parts, list | tuple):
        parts = [dataset.dataset] if hasattr(dataset, 'dataset') else []
    for part in parts:
        yield from _leaves(part, steps)
    if not parts:
        yield dataset, steps


def _leaf_configs(config: dict) -> Iterator[dict]:
    """Yield the same for a config."""
    parts = config.get('datasets') or [config.get('dataset')]
    for part in parts:
        if isinstance(part, dict):
            yield from _leaf_configs(part)
    if parts == [None]:
        yield config


class _Pictures:
    """The image and label files of a data set, each checked once."""

    def __init__(self, steps: Sequence[Callable], decode: bool):
        self.steps, self.decode = steps, decode
        self.files, self.turns, self.compared = {}, {}, set()

    def look(self, path) -> tuple[ImageFile, str | None]:
        """Return a file, and its fault if the file is new."""
        if not isinstance(path, str | Path) or '://' in str(path):
            return ImageFile(), None
        if path in self.files:
            return self.files[path], None
        file = self.files[path] = look_at(path, self.decode)
        return file, file.fault and f'{path}: {file.fault}'

    def size(self, info: dict, file: ImageFile) -> tuple[int, int] | None:
        """Return width and height of an image as the pipeline reads it.

        Of photographs that lie on their side, one of each kind is read.
        """
        if file.size is None or not file.lying:
            return file.size
        if file.kind not in self.turns:
            image = _read(info, self.steps)
            if image is None:
                return None
            if file.size[0] == file.size[1]:
                return file.size
            self.turns[file.kind] = image.shape[1::-1] != file.size
        return file.size[::-1] if self.turns[file.kind] else file.size

    def lost(self, info: dict, file: ImageFile) -> str | None:
        """Describe the bits and channels that the pipeline does not read.

        Looked for in one file of each kind that has more than usual.
        """
        if file.plain or file.kind in self.compared:
            return None
        stored = cv2.imread(str(info['img_path']), cv2.IMREAD_UNCHANGED)
        image = _read(info, self.steps)
        if stored is None or image is None:
            return None
        step = max(1, math.isqrt(stored.size // 2**18))
        stored, image = stored[::step, ::step], image[::step, ::step]
        colours = stored if stored.ndim == 2 else stored[..., :3]
        levels = [len(np.unique(part)) for part in (image, colours)]
        if levels[0] < levels[1]:
            self.compared.add(file.kind)
            return (f'holds {8 * stored.itemsize} bits a pixel, values up to '
                    f'{colours.max():g}, and the pipeline reads 8, values up '
                    f"to {image.max():g}: color_type='unchanged' and "
                    'to_float32=True of LoadImageFromFile keep them, with '
                    "the model's in_channels, mean and std to match")
        kept = 1 if image.ndim == 2 else image.shape[2]
        more = stored[..., kept:] if stored.ndim == 3 else stored[:0]
        if more.size and more.min() != more.max():
            self.compared.add(file.kind)
            return (f'has {stored.shape[2]} channels, and the pipeline reads '
                    f"{kept}: color_type='unchanged' of LoadImageFromFile "
                    "keeps all, with the model's in_channels, mean and std to "
                    'match')
        return None


def _read(info: dict, steps: Sequence[Callable]) -> np.ndarray | None:
    """Load the image of a sample as its pipeline does, or return None."""
    results = copy.deepcopy(info)
    try:
        for step in steps:
            results = step(results)
            if isinstance(results.get('img'), np.ndarray):
                return results['img']
    except Exception:  # named when the training meets it
        return None
    return None


def dataset_faults(dataset, decode: bool = False) -> Iterator[str]:
    """Check every sample of a data set, without loading most of them.

    The checks: image, label and depth files exist and have a readable header;
    a label or depth has the size of its image; no number in an annotation is
    NaN or infinite; no two annotations of a file share an id; the set is not
    empty; its classes are those of its annotations; the labels of mmseg hold
    only classes of the set, and more than one. Hosts report some of these
    faults hours later, and train on the others without a message.

    Args:
        dataset (Dataset): Data set of any host, or a wrapper of others.
        decode (bool): Whether to read every image and label completely. This
            finds truncated files and takes as long as loading one epoch.
            Otherwise about a hundred labels are read.

    Yields:
        str: A fault, with its file or annotation. A :class:`DataWarning` is
        most likely a fault: the loader drops bits or channels of images, or
        classes come in another order.
    """
    for leaf, steps in _leaves(dataset):
        if hasattr(leaf, 'get_data_info'):
            yield from _class_faults(leaf)
            yield from _sample_faults(leaf, steps, decode)


def _class_faults(dataset) -> Iterator[str]:
    """Yield faults in the classes, the annotation file and the length."""
    meta = getattr(dataset, 'metainfo', None) or {}
    classes = meta.get('classes')
    if isinstance(classes, str):
        yield (f'classes must be a list of names, got the string {classes!r}, '
               'of which each letter is a class: one class is written '
               f'({classes!r}, ), with its comma')
        classes = None
    path = Path(getattr(dataset, 'ann_file', None) or '')
    text = ''
    if path.suffix == '.json' and path.is_file():
        text = path.read_text()
        # mmdet leaves such a box out, and nobody knows. The words first:
        # looking at every number of a large set takes a minute.
        if 'NaN' in text or 'Infinity' in text:
            name = _not_finite(json.loads(text), path.name)
            if name:
                yield f'{path}: {name} is not finite'
    if classes and text and hasattr(dataset, 'cat_ids'):
        yield from _category_faults(path, text, classes, dataset.cat_ids)
    if not len(dataset):
        yield f'{_emptiness(dataset, path, text)}: holds no sample'


def _category_faults(path: Path, text: str, classes: Sequence[str],
                     used: Sequence[int]) -> Iterator[str]:
    """Yield a warning if the labels of mmdet do not follow the classes.

    mmdet numbers the categories in the order of the file, not in the order of
    the classes.
    """
    start = re.search(r'"categories"\s*:\s*(?=\[)', text)
    if start is None:
        return
    entries, _ = json.JSONDecoder().raw_decode(text, start.end())
    names = {entry['id']: entry['name'] for entry in entries}
    found = [names.get(number) for number in used]
    missing = [name for name in classes if name not in names.values()]
    right = found and found == list(classes[:len(found)])
    if missing:
        text = (f'{path}: classes must be among the categories '
                f'{_names(names.values())}, got {_names(missing)}, which are '
                'not; metainfo=dict(classes=(...)) of the data set names them')
        # The others keep their labels.
        yield DataWarning(text) if right else text
    elif not right:
        yield DataWarning(
            f'{path}: classes must be in the order of the categories, '
            f'{_names(found)}, got {_names(classes)}: labels count the '
            'former, and are named by the latter')


def _names(names) -> str:
    names = list(map(str, names))
    more = f', ... ({len(names)} in all)' if len(names) > 6 else ''
    return f'{", ".join(names[:6])}{more}' or 'none'


def _emptiness(dataset, path: Path, text: str) -> str:
    """Describe where the samples of an empty data set were searched."""
    if text:
        content = json.loads(text)
        counts = ', '.join(
            f'{len(content[name])} {name}'
            for name in ('images', 'annotations', 'categories')
            if isinstance(content, dict) and name in content)
        rules = getattr(dataset, 'filter_cfg', None)
        return (f'{path} ({counts}' +
                (f'; filter_cfg={dict(rules)}' if rules else '') + ')')
    if path.is_file():
        return str(path)
    prefix = getattr(dataset, 'data_prefix', None) or {}
    folder = Path(prefix.get('img_path') or prefix.get('img') or '')
    suffixes = Counter(
        file.suffix for file in folder.rglob('*') if file.is_file())
    held = ', '.join(f'{number} {suffix or "without suffix"}'
                     for suffix, number in suffixes.most_common(5))
    return (f'{folder} (img_suffix={getattr(dataset, "img_suffix", None)!r}; '
            f'files: {held or "none"})')


def _files_beside(info: dict, steps: Sequence[Callable]) -> Iterator[str]:
    """Yield the files that steps such as LoadDepth read with an image."""
    for step in steps:
        if hasattr(step, 'file_beside') and info.get('img_path'):
            yield step.file_beside(info['img_path'])


def _sample_faults(dataset, steps: Sequence[Callable],
                   decode: bool) -> Iterator[str]:
    """Yield the faults in the samples of a data set without wrappers."""
    pictures, ids = _Pictures(steps, decode), set()
    labels = LabelCheck(dataset, steps, decode)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        image, fault = pictures.look(info.get('img_path'))
        if fault:
            yield fault
        elif image.fault is None:
            lost = pictures.lost(info, image)
            if lost:
                yield DataWarning(f'{info["img_path"]}: {lost}')
        for path in [info.get('seg_map_path'), *_files_beside(info, steps)]:
            file, fault = pictures.look(path)
            if fault:
                yield fault
            elif file.size:
                size = pictures.size(info, image)
                if size and file.size != size:
                    yield (f'{path}: is {file.size[0]} x {file.size[1]}, its '
                           f'image {size[0]} x {size[1]}')
                if path == info.get('seg_map_path'):
                    labels.look(index, info, file.kind)
        # Only instances have ids, in a bottom-up sample a list of them: in
        # mmseg and mmdet a sample is an image.
        own = info.get('id')
        where = f'{info.get("img_path")}, sample {index}' + (
            '' if own is None or own == [] else f', annotation {own}')
        for number in own if isinstance(own, list) else [own]:
            if number is not None and number in ids:
                yield (f'{info.get("img_path")}, sample {index}, annotation '
                       f'{number}: the annotation id is there twice')
            ids.add(number)
        name = _not_finite(info, 'annotation')
        if name:
            yield f'{where}: {name} is not finite'
    yield from labels.faults()


def head_faults(config: Config, dataset) -> Iterator[str]:
    """Yield a fault if a head of mmseg lacks channels for the classes.

    Args:
        config (Config): Config of any host, with its ``model``.
        dataset (Dataset): Data set that the model is trained on.

    Yields:
        str: The fault.
    """
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    model = config.get('model')
    if not isinstance(model, dict) or not isinstance(classes, list | tuple):
        return
    for key in ('decode_head', 'auxiliary_head'):
        heads = model.get(key) or []
        for head in heads if isinstance(heads, list | tuple) else [heads]:
            number = head.get('num_classes')
            if number is not None and number < len(classes):
                yield (f'num_classes of model.{key} must be {len(classes)}, '
                       f'for the classes {_names(classes)}, got {number}')


def config_faults(config: Config,
                  loader: str,
                  decode: bool = False) -> Iterator[str]:
    """Check the data set of one data loader of a config.

    Args:
        config (Config): Config of any host.
        loader (str): ``'train_dataloader'`` and so on.
        decode (bool): See :func:`dataset_faults`.

    Yields:
        str: A fault, with its file or annotation.
    """
    outer = config[loader].dataset
    files = []
    for inner in _leaf_configs(outer):
        annotations = inner.get('ann_file')
        if not isinstance(annotations, str):
            continue
        files.append(annotations)
        if annotations.endswith('.json'):
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
    with DefaultScope.overwrite_default_scope(
            config.get('default_scope') or 'mmengine'):
        try:
            dataset = _build(outer)
        except Exception as error:  # whatever a host makes of a broken set
            yield (f'{loader}: the data set does not build: '
                   f'{type(error).__name__}: {error} '
                   f'(ann_file={", ".join(files)!r})')
            return
        yield from head_faults(config, dataset)
        yield from dataset_faults(dataset, decode)


def _build(config: dict):
    """Build a data set, which may be empty.

    mmengine fails on an empty set with an error that does not say so.
    """
    try:
        return DATASETS.build(config)
    except Exception:
        config = copy.deepcopy(config)
        for inner in _leaf_configs(config):
            inner['serialize_data'] = False
        try:
            dataset = DATASETS.build(config)
            empty = any(not len(leaf) for leaf, _ in _leaves(dataset))
        except Exception:
            empty = False
        if not empty:
            raise
        return dataset
