"""How label pictures and numbers of cells come into a pipeline of mmseg.

All bits of a file are kept. ``gt_instance_map``, the numbers of single cells,
goes beside mmseg's ``gt_seg_map`` and changes with it.
"""
import math
from collections.abc import Sequence
from pathlib import Path

import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms.base import BaseTransform
from scipy import ndimage

from mmdense.arguments import (
    check_array,
    check_at_least,
    check_options,
    check_sequence,
)
from mmdense.registry import TRANSFORMS

INSTANCES = 'gt_instance_map'
# Largest value of a pixel in a label picture, which has 16 bits at most.
WHITE = 2**16 - 1


def _read_map(path: str, backend_args: dict | None) -> np.ndarray:
    """Read a picture of integers (H, W) with all the bits of its file."""
    content = fileio.get(path, backend_args=backend_args)
    # Pillow gives the indices of a palette and 16 bits as they are.
    picture = mmcv.imfrombytes(content, flag='unchanged', backend='pillow')
    if picture.ndim != 2 or picture.dtype.kind not in 'iub':
        raise ValueError(
            f'{path}: a label picture must have one channel of integers, got '
            f'{picture.shape} of {picture.dtype}: write the number of the '
            'class or of the cell at each pixel, in place of colours')
    return picture


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Transform that reads ``gt_seg_map`` with all the bits of the file.

    mmseg's ``LoadAnnotations`` cuts every value to 8 bits, so that 0 and 256
    become one class. ``LabelsFromValues`` comes next. Without a label
    picture, as mmseg's inferencer runs a test pipeline, it does nothing.

    Args:
        backend_args (dict, optional): Options of mmengine's file backends.

    Raises:
        ValueError: On call, if the picture has several channels or holds
            other numbers than integers, or the data set asks for
            ``reduce_zero_label`` or for some of its classes only.
    """

    def __init__(self, backend_args: dict | None = None):
        check_options(backend_args=backend_args or {})
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        path = results.get('seg_map_path')
        if path is None:
            return results
        for name in ('reduce_zero_label', 'label_map'):
            if results.get(name):
                raise ValueError(
                    f'LoadLabels: {name} must not be set, got '
                    f'{results[name]!r}: LabelsFromValues says which value '
                    'is which class')
        results['gt_seg_map'] = _read_map(path, self.backend_args)
        results['seg_fields'].append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class LabelsFromValues(BaseTransform):
    """Transform from the pixel values of a label picture to class indices.

    Values above 255 need ``LoadLabels`` before this step. Without a label
    picture, as mmseg's inferencer runs a test pipeline, it does nothing.

    Args:
        values (Sequence[int]): The value of each class, in order.

    Raises:
        TypeError: If ``values`` is not a list of integers.
        ValueError: If there are not 1 to 255 different ones, or one is none
            of a pixel of up to 16 bits; on call, if a pixel has none of them,
            or the label map was cut to 8 bits and a value has more.
    """

    def __init__(self, values: Sequence[int]):
        check_sequence(values=values)
        for k, value in enumerate(values):
            check_at_least(0, **{f'values[{k}]': value})
        if not 1 <= len(set(values)) == len(values) < 256 or \
                max(values) > WHITE:
            raise ValueError('values must be 1 to 255 different ones of at '
                             f'most {WHITE}, got {values}')
        self.values = list(values)

    def transform(self, results: dict) -> dict:
        label = results.get('gt_seg_map')
        if label is None:
            return results
        path = results.get('seg_map_path')
        check_array(label, 2, 'iub', f'{path}: gt_seg_map')
        if label.dtype.itemsize == 1 and max(self.values) > 255:
            raise ValueError(
                f'LabelsFromValues: values must fit the 8 bits of {path} as '
                f'it was loaded, got {self.values}: mmseg\'s LoadAnnotations '
                'cuts to 8 bits, load it with mmdense.LoadLabels')
        # The last entry is that of all other values.
        table = np.full(max(self.values) + 2, len(self.values), np.uint8)
        table[self.values] = np.arange(len(self.values))
        classes = table[label.astype(np.int64).clip(-1, len(table) - 1)]
        strange = np.unique(label[classes == len(self.values)])
        if len(strange):
            raise ValueError(f'{path}: pixels must be of {self.values}, got '
                             f'{strange.tolist()} too')
        results['gt_seg_map'] = classes
        return results


@TRANSFORMS.register_module()
class LoadInstances(BaseTransform):
    """Transform that reads ``gt_instance_map``, the cell at each pixel.

    The picture (PNG or TIFF, 8 or 16 bits) has 0 outside cells. It is the
    file of ``seg_map_path`` or, where that holds classes, the file of the
    same name in ``folder``. Without a label picture, as mmseg's inferencer
    runs a test pipeline, the step does nothing.

    Args:
        folder (str, optional): Folder beside that of the label pictures, as
            ``'instance'`` for ``train/label/0.png``.
        backend_args (dict, optional): Options of mmengine's file backends.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: On call, if the picture has several channels, negative
            numbers, more than 65535 cells, or another size than the image or
            its labels.
    """

    def __init__(self,
                 folder: str | None = None,
                 backend_args: dict | None = None):
        if not isinstance(folder, str | None):
            raise TypeError(f'folder must be a name, got {folder!r}')
        check_options(backend_args=backend_args or {})
        self.folder = folder
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        path = results.get('seg_map_path')
        if path is None:
            return results
        if self.folder is not None:
            path = Path(path)
            path = str(path.parent.parent / self.folder / path.name)
        ids = _read_map(path, self.backend_args)
        for key in ('img', 'gt_seg_map'):
            size = results[key].shape[:2] if key in results else ids.shape
            if ids.shape != size:
                raise ValueError(f'LoadInstances: {path} must have the size '
                                 f'of {key}, {size}, got {ids.shape}')
        if ids.min(initial=0) < 0:
            raise ValueError(f'LoadInstances: numbers of cells must be at '
                             f'least 0, got {ids.min()} in {path}')
        if ids.max(initial=0) > WHITE:
            # Later steps, OpenCV's, take 16 bits.
            ids = np.unique(np.append(ids, 0), return_inverse=True)[1][
                :-1].reshape(ids.shape)
            if ids.max() > WHITE:
                raise ValueError(f'LoadInstances: {path} must hold at most '
                                 f'{WHITE} cells, got {ids.max()}')
        results[INSTANCES] = ids.astype(np.uint16)
        results['seg_fields'].append(INSTANCES)
        return results


@TRANSFORMS.register_module()
class MaskFromInstances(BaseTransform):
    """Transform that separates all cells in ``gt_seg_map`` by background.

    A pixel of a cell becomes background if another cell is within ``margin``
    pixels of it, in rows and in columns: two cells that touch are parted by
    ``2 margin`` pixels, and cells that have ``margin`` pixels or more
    between them lose nothing. ``gt_instance_map`` stays whole. Without
    ``gt_seg_map`` all cells are class 1; of a map with several classes of
    cells only the gaps are cut.

    Args:
        margin (int): Pixels each of two touching cells gives up; 0 cuts
            nothing.
        background (int): Class of the pixels between cells.
        ignore_index (int): Pixels of this label keep it.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is negative.
        KeyError: On call, if there are labels and no ``LoadInstances`` came
            before.
    """

    def __init__(self,
                 margin: int = 1,
                 background: int = 0,
                 ignore_index: int = 255):
        check_at_least(0, margin=margin, background=background)
        check_at_least(-math.inf, ignore_index=ignore_index)
        self.margin = margin
        self.background = background
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        if results.get('seg_map_path') is None and INSTANCES not in results:
            return results
        if INSTANCES not in results:
            raise KeyError(f'MaskFromInstances: {INSTANCES} must be there: '
                           'put LoadInstances earlier in the pipeline')
        ids = results[INSTANCES].astype(np.int32)
        label = results.get('gt_seg_map')
        if label is None:
            label = np.where(ids > 0, 1, self.background).astype(np.uint8)
            results['seg_fields'].append('gt_seg_map')
        size = 2 * self.margin + 1
        # The largest and the smallest number of a cell in reach.
        largest = ndimage.maximum_filter(ids, size, mode='nearest')
        smallest = ndimage.minimum_filter(
            np.where(ids > 0, ids, WHITE + 1), size, mode='nearest')
        gap = (ids > 0) & ((largest != ids) | (smallest != ids)) & (
            label != self.ignore_index)
        results['gt_seg_map'] = np.where(gap, self.background,
                                         label).astype(label.dtype)
        return results
