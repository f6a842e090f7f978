"""The steps of U-Net's training pipeline that mmseg does not have.

Two maps go beside mmseg's ``gt_seg_map`` and change with it: the numbers of
single cells and the weights of the loss.
"""
import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import to_tensor
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from scipy import ndimage

from mmdense.arguments import (
    check_array,
    check_at_least,
    check_options,
    check_sequence,
    check_spread,
)
from mmdense.datasets.border_weights import border_weights
from mmdense.datasets.elastic_deformation import deform, displacement_field
from mmdense.datasets.writing import write_bytes
from mmdense.registry import TRANSFORMS

WEIGHTS = 'gt_weight_map'
INSTANCES = 'gt_instance_map'
# Largest value of a pixel in a label picture, which has 16 bits at most.
WHITE = 2**16 - 1
# A share given for a class and the share seen may differ by this factor.
TOLERANCE = 2
# Seen so often, shares of classes are compared with those given.
ENOUGH_MAPS = 10


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


@TRANSFORMS.register_module()
class BorderWeights(BaseTransform):
    """Transform that adds ``gt_weight_map``, the loss weights of U-Net.

    It goes before any change of the label map, so that it is computed once a
    picture; later steps change it with the other ``seg_fields``.
    ``PackWeightedSegInputs`` ends the pipeline. Cells are those of
    ``gt_instance_map`` where ``LoadInstances`` came before, so that cells
    that touch have a seam; otherwise they are pieces of a class.

    ``frequencies`` that are not those of the data, of another set say, make a
    network learn one class only: where the shares of a class differ by more
    than a factor of 2, a warning comes after 10 label maps.

    Args:
        cache_dir (str, optional): Folder that keeps the maps from one epoch
            and training to the next, by the content of the label map and the
            options; None computes them anew each time.
        **options: Of :func:`~mmdense.datasets.border_weights.border_weights`,
            but its maps.

    Raises:
        TypeError, ValueError: If an option is out of range.
    """

    def __init__(self, cache_dir: str | None = None, **options):
        if not isinstance(cache_dir, str | Path | None):
            raise TypeError(f'cache_dir must be a path, got {cache_dir!r}')
        if options.get('instances') is not None:
            raise TypeError('instances must come from LoadInstances, got '
                            f'{type(options["instances"]).__name__}')
        # Before a training, not at its first label map.
        border_weights(np.zeros((0, 0), np.uint8), **options)
        self.cache_dir = cache_dir
        self.options = options
        self.seen = []

    def transform(self, results: dict) -> dict:
        label = results['gt_seg_map']
        self._compare_frequencies(label)
        results[WEIGHTS] = self._weights(label, results.get(INSTANCES))
        results['seg_fields'].append(WEIGHTS)
        return results

    def _weights(self, label, instances):
        if self.cache_dir is None:
            return border_weights(label, instances=instances, **self.options)
        key = hashlib.sha256()
        for array in (label, *([] if instances is None else [instances])):
            name = json.dumps([array.shape, str(array.dtype), self.options],
                              sort_keys=True)
            key.update(name.encode() + array.tobytes())
        path = Path(self.cache_dir) / f'{key.hexdigest()}.f32'
        weights = _cached(path, label.shape)
        if weights is None:
            weights = border_weights(
                label, instances=instances, **self.options)
            write_bytes(path, weights.tobytes())
        return weights

    def _compare_frequencies(self, label):
        given = self.options.get('frequencies')
        if given is None or len(self.seen) == ENOUGH_MAPS:
            return
        labels = label[(label != self.options.get('ignore_index', 255))
                       & (label >= 0) & (label < len(given))]
        self.seen.append(np.bincount(labels, minlength=len(given)))
        pixels = sum(self.seen)
        if len(self.seen) < ENOUGH_MAPS or not pixels.sum():
            return
        shares = pixels / pixels.sum()
        if any(not share / TOLERANCE <= there <= share * TOLERANCE
               for share, there in zip(given, shares, strict=True)):
            warnings.warn(
                'BorderWeights: frequencies must be the shares of the '
                f'classes in the training set, got {list(given)}, but '
                f'{ENOUGH_MAPS} label maps have {shares.round(3).tolist()}: '
                'give these, or None for the shares of each label map',
                stacklevel=2)


def _cached(path, shape):
    """Read the map in a file; None if it is missing or cut off."""
    try:
        return np.fromfile(path, np.float32).reshape(shape)
    except (FileNotFoundError, ValueError):
        return None


@TRANSFORMS.register_module()
class ElasticDeformation(BaseTransform):
    """Transform that deforms image and maps by smooth random displacements.

    Displacement vectors on a coarse grid are drawn from a normal
    distribution and interpolated bicubically (see
    :mod:`mmdense.datasets.elastic_deformation`). The image is read
    bicubically, maps of integers take the nearest pixel, maps of floats are
    read linearly; beyond the border all are mirrored.

    Args:
        std (float): Standard deviation of each component, in pixels.
        grid (int): Grid points in either direction, at least 2.

    Raises:
        TypeError: If ``grid`` is not an integer.
        ValueError: If an argument is too small.
    """

    def __init__(self, std: float = 10, grid: int = 3):
        check_spread(std=std)
        check_at_least(2, grid=grid)
        self.std = std
        self.grid = grid

    @cache_randomness
    def _vectors(self) -> np.ndarray:
        # The global generator: it is the one mmengine seeds in a worker.
        return np.random.normal(  # noqa: NPY002
            0, self.std, (2, self.grid, self.grid))

    def transform(self, results: dict) -> dict:
        displacement = displacement_field(self._vectors(),
                                          results['img'].shape[:2])
        results['img'] = deform(results['img'], displacement, 'cubic')
        for key in results.get('seg_fields', ()):
            kind = 'linear' if results[key].dtype.kind == 'f' else 'nearest'
            results[key] = deform(results[key], displacement, kind)
        return results


@TRANSFORMS.register_module()
class MirrorPad(BaseTransform):
    """Transform that pads image and maps by mirroring.

    A crop of the result then has true pixels at all places the network gives
    an output for.

    Args:
        context (int): Pixels on each side.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is negative.
    """

    def __init__(self, context: int):
        check_at_least(0, context=context)
        self.context = context

    def transform(self, results: dict) -> dict:
        for key in ('img', *results.get('seg_fields', ())):
            picture = results[key]
            margins = [(self.context, self.context)] * 2
            margins += [(0, 0)] * (picture.ndim - 2)
            results[key] = np.pad(picture, margins, mode='reflect')
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class PackInstanceSegInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` with ``gt_instance_map`` in the data sample.

    For metrics that count cells. An image without labels is packed as mmseg
    packs it.

    Raises:
        KeyError: If there are labels and no ``LoadInstances`` came before.
    """

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        if INSTANCES in results:
            _add_map(packed, results, INSTANCES, np.int64)
        elif 'gt_seg_map' in results:
            raise KeyError(f'PackInstanceSegInputs: {INSTANCES} must be '
                           'there: put LoadInstances earlier in the pipeline')
        return packed


@TRANSFORMS.register_module()
class PackWeightedSegInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` with ``gt_weight_map`` in the data sample.

    Raises:
        KeyError: If no ``BorderWeights`` came before.
    """

    def transform(self, results: dict) -> dict:
        if WEIGHTS not in results:
            raise KeyError(f'PackWeightedSegInputs: {WEIGHTS} must be '
                           'there: put BorderWeights earlier in the pipeline')
        packed = super().transform(results)
        _add_map(packed, results, WEIGHTS, None)
        return packed


def _add_map(packed, results, key, dtype):
    values = np.ascontiguousarray(results[key], dtype)[None]
    packed['data_samples'].set_data(
        {key: PixelData(data=to_tensor(values))})
