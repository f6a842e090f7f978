"""The steps of U-Net's training pipeline that mmseg does not have.

Two maps go beside mmseg's ``gt_seg_map`` and change with it: the numbers of
single cells and the weights of the loss.
"""
import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
from mmcv.transforms import to_tensor
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from mmdense.arguments import (
    check_at_least,
    check_spread,
)
from mmdense.datasets.border_weights import border_weights
from mmdense.datasets.elastic_deformation import deform, displacement_field
from mmdense.datasets.writing import write_bytes
from mmdense.mmseg.label_loading import INSTANCES
from mmdense.registry import TRANSFORMS

WEIGHTS = 'gt_weight_map'
# A share given for a class and the share seen may differ by this factor.
TOLERANCE = 2
# Seen so often, shares of classes are compared with those given.
ENOUGH_MAPS = 10


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
