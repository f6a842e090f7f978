"""Checks of the labels of a segmentation data set.
"""
import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

# Without decode, about this many are read of a data set.
READ = 100
# Whose transforms change pictures; others after the loading make classes.
_HOSTS = ('mmcv', 'mmseg', 'mmdet', 'mmpose', 'mmpretrain')
# Our steps that leave labels as they are; they take a while, or need images.
_LEAVE_LABELS = ('BorderWeights', 'LoadDepth', 'EncodeHHA', 'StackParts')


def _is_a(step: Callable, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(step).__mro__)


def _shortened(values: Sequence) -> str:
    """Write a list with at most ten values."""
    shown = ', '.join(map(str, values[:10]))
    return f'[{shown}, ... {len(values)} in all]' if len(values) > 10 else \
        f'[{shown}]'


class LabelCheck:
    """Collector of the faults in the labels of one data set of mmseg.

    A label is loaded by ``LoadAnnotations`` or ``LoadLabels`` of its pipeline
    and by the following steps that do not belong to a host
    (``LabelsFromValues``, ``LoadInstances``, steps of the user), up to the
    first step that changes pictures. If there are no labels, the numbers of
    cells are read alone.

    Args:
        dataset (Dataset): Data set of mmseg.
        steps (Sequence[Callable]): Steps of its pipeline.
        decode (bool): Whether to read every label; else about a hundred,
            spread over the set, and the first of each kind of file.
    """

    def __init__(self, dataset, steps: Sequence[Callable], decode: bool):
        meta = getattr(dataset, 'metainfo', None) or {}
        classes = meta.get('classes')
        self.dataset = dataset
        self.classes = classes if isinstance(classes, list | tuple) else ()
        self.ignored = getattr(dataset, 'ignore_index', 255)
        self.steps = _label_steps(steps)
        self.maps_values = any(
            type(step).__name__ == 'LabelsFromValues' for step in self.steps)
        self.stride = 1 if decode else max(1, len(dataset) // READ)
        self.kinds, self.unread, self.values = set(), [], set()
        # What is wrong, to the first file, how many, and which values.
        self.found = {}
        self.number = 0

    def look(self, index: int, info: dict, kind: str) -> None:
        """Read a sample's label, if it is one of those to be read.

        Args:
            index (int): Index of the sample.
            info (dict): Entry of the data set, with ``seg_map_path``.
            kind (str): Kind of the file of the label.
        """
        if not self.steps or 'reduce_zero_label' not in info:
            return
        if index % self.stride and kind in self.kinds:
            self.unread.append(index)
            return
        self.kinds.add(kind)
        self._read(info)

    def _read(self, info: dict) -> None:
        path, results = info['seg_map_path'], copy.deepcopy(info)
        self.number += 1
        label = None
        try:
            for k, step in enumerate(self.steps):
                results = step(results)
                if results is None:
                    return
                label = results.get('gt_seg_map', label)
                if label is None:
                    continue
                if label.ndim != 2:
                    self._note('colours', path, _colours(label))
                    return
                if k == 0 and label.dtype == np.uint8:
                    self._note('deep', path, _beyond_bytes(path))
        except KeyError:
            if not type(step).__module__.startswith('mmdense.'):
                # A step of the user may need the image too: not checked.
                self.steps, self.number = [], 0
                return
        except Exception as error:  # of the host, or of a step: names its file
            text = str(error).removeprefix(f'{path}: ')
            self._note(f'does not load: {type(error).__name__}: {text}', path)
            return
        if label is None:
            return
        values = set(np.unique(label).tolist())
        self.values |= values
        if self.classes:
            self._note('values', path, {
                v for v in values
                if v != self.ignored and not 0 <= v < len(self.classes)})

    def _note(self, what: str, path: str, values: set | None = None) -> None:
        if values is None or values:
            first, number, before = self.found.get(what, (path, 0, set()))
            self.found[what] = first, number + 1, before | (values or set())

    def faults(self) -> Iterator[str]:
        """Yield the faults, each kind once."""
        classes = len(self.classes)
        for what, (first, number, values) in self.found.items():
            others = f' (and {number - 1} more)' if number > 1 else ''
            values = _shortened(sorted(values))
            if what == 'colours':
                yield (f'{first}{others}: a label picture must have one value '
                       f'a pixel, got several channels, with {values}; write '
                       'the index of its class for each colour')
            elif what == 'deep':
                yield (f'{first}{others}: the pipeline reads labels of 8 bits,'
                       f' got the values {values}, which it takes modulo 256')
            elif what == 'values':
                yield (f'{first}{others}: labels must be 0 to {classes - 1} '
                       f'for the {classes} classes, or {self.ignored} where '
                       f'nothing counts, got {values}{self._remedy()}')
            else:
                yield f'{first}{others}: {what}'
        if not self.found and classes > 1 and self.number:
            yield from self._lonely_class()

    def _lonely_class(self) -> Iterator[str]:
        """Yield a fault if all labels hold one class only."""
        # Before that is said, all have been read.
        for index in self.unread:
            if len(self.values - {self.ignored}) > 1:
                break
            self._read(self.dataset.get_data_info(index))
        there = sorted(self.values - {self.ignored})
        if len(there) > 1 or self.found:
            return
        names = ', '.join(str(self.classes[value]) for value in there)
        ignored = (f', and {self.ignored}, which is ignored'
                   if self.ignored in self.values else '')
        yield (f'labels of {len(self.classes)} classes must show more than '
               f'one, got {self.number} labels with the values {there} '
               f'({names or "no class"}) alone{ignored}{self._remedy()}')

    def _remedy(self) -> str:
        if getattr(self.dataset, 'reduce_zero_label', False):
            return ('; reduce_zero_label=True has made 255 of 0 and counts '
                    'the others from 0: leave it out where 0 is a class')
        values = sorted(self.values)
        if len(values) == len(self.classes) and not self.maps_values:
            return ("; dict(type='mmdense.LabelsFromValues', values="
                    f'{values}) behind LoadAnnotations makes '
                    f'{", ".join(map(str, range(len(values))))} of them')
        return ''


def _label_steps(steps: Sequence[Callable]) -> list[Callable]:
    """Return the steps of a pipeline that load labels and make classes."""
    found = []
    for step in steps:
        if _is_a(step, 'LoadAnnotations', 'LoadLabels') or (
                not found and _is_a(step, 'LoadInstances')):
            found = [step]
        elif found and type(step).__module__.split('.')[0] in _HOSTS:
            break
        elif found and type(step).__name__ not in _LEAVE_LABELS:
            found.append(step)
    return found


def _colours(label: np.ndarray) -> set[tuple]:
    """Return some colours of a picture (H, W, C) in RGB, from BGR."""
    picture = label[..., 2::-1]
    pixels = picture.reshape(-1, picture.shape[-1])[::101]
    return set(map(tuple, np.unique(pixels, axis=0).tolist()))


def _beyond_bytes(path: str) -> set[int]:
    """Return the values of a picture's file that 8 bits cannot hold."""
    try:
        with Image.open(path) as image:
            if image.mode[:1] not in 'IF':
                return set()
            values = np.unique(np.asarray(image))
    except OSError:  # what Pillow does not know
        return set()
    return set(values[(values < 0) | (values > 255)].tolist())
