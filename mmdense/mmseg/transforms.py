"""The steps of U-Net's training pipeline that mmseg does not have."""
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import to_tensor
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from mmdense.arguments import (
    check_array,
    check_at_least,
    check_sequence,
    check_spread,
)
from mmdense.datasets.border_weights import border_weights
from mmdense.datasets.elastic_deformation import deform, displacement_field
from mmdense.datasets.writing import write_bytes
from mmdense.registry import TRANSFORMS

WEIGHTS = 'gt_weight_map'
# Largest value of a pixel in a label picture, which has 16 bits at most.
WHITE = 2**16 - 1


@TRANSFORMS.register_module()
class LabelsFromValues(BaseTransform):
    """Turns pixel values of a label picture into class indices.

    Without a label picture, as mmseg's inferencer runs a test pipeline, it
    does nothing.

    Args:
        values (Sequence[int]): The value of each class, in order.

    Raises:
        TypeError: If ``values`` is no list of integers.
        ValueError: If there are not 1 to 255 different ones, or one is none
            of a pixel of up to 16 bits; on call, if a pixel has none of them.
    """

    def __init__(self, values: Sequence[int]):
        check_sequence(values=values)
        for k, value in enumerate(values):
            check_at_least(0, **{f'values[{k}]': value})
        if not 1 <= len(set(values)) == len(values) < 256 or \
                max(values) > WHITE:
            raise ValueError('values wants 1 to 255 different ones of at most '
                             f'{WHITE}, got {values}')
        self.values = list(values)

    def transform(self, results: dict) -> dict:
        label = results.get('gt_seg_map')
        if label is None:
            return results
        path = results.get('seg_map_path')
        check_array(label, 2, 'iub', f'{path}: gt_seg_map')
        # The last entry is that of all other values.
        table = np.full(max(self.values) + 2, len(self.values), np.uint8)
        table[self.values] = np.arange(len(self.values))
        classes = table[label.astype(np.int64).clip(-1, len(table) - 1)]
        strange = np.unique(label[classes == len(self.values)])
        if len(strange):
            raise ValueError(f'{path}: wants pixels of {self.values}, got '
                             f'{strange.tolist()} too')
        results['gt_seg_map'] = classes
        return results


@TRANSFORMS.register_module()
class BorderWeights(BaseTransform):
    """Adds ``gt_weight_map``, U-Net's loss weights of the label map.

    It goes before any change of the label map, so that it is computed once a
    picture; later steps change it with the other ``seg_fields``.
    ``PackWeightedSegInputs`` ends the pipeline.

    Args:
        cache_dir (str, optional): Folder that keeps the maps from one epoch
            and training to the next, by the content of the label map and the
            options; None computes them anew each time.
        **options: Of :func:`~mmdense.datasets.border_weights.border_weights`.

    Raises:
        TypeError, ValueError: If one is none of these.
    """

    def __init__(self, cache_dir: str | None = None, **options):
        if not isinstance(cache_dir, str | Path | None):
            raise TypeError(f'cache_dir wants a path, got {cache_dir!r}')
        # Before a training, not at its first label map.
        border_weights(np.zeros((0, 0), np.uint8), **options)
        self.cache_dir = cache_dir
        self.options = options

    def transform(self, results: dict) -> dict:
        results[WEIGHTS] = self._weights(results['gt_seg_map'])
        results['seg_fields'].append(WEIGHTS)
        return results

    def _weights(self, label: np.ndarray) -> np.ndarray:
        if self.cache_dir is None:
            return border_weights(label, **self.options)
        name = json.dumps(
            [label.shape, str(label.dtype), self.options], sort_keys=True)
        key = hashlib.sha256(name.encode() + label.tobytes()).hexdigest()
        path = Path(self.cache_dir) / f'{key}.f32'
        try:
            return np.fromfile(path, np.float32).reshape(label.shape)
        except (FileNotFoundError, ValueError):
            # Not there, or cut short by a full disk.
            weights = border_weights(label, **self.options)
            write_bytes(path, weights.tobytes())
            return weights


@TRANSFORMS.register_module()
class ElasticDeformation(BaseTransform):
    """Bends image and maps alike by smooth random displacements.

    Displacement vectors on a coarse grid are drawn from a normal
    distribution and interpolated bicubically (see
    :mod:`mmdense.datasets.elastic_deformation`). The image is read
    bicubically, maps of integers take the nearest pixel, maps of floats are
    read linearly; beyond the border all are mirrored.

    Args:
        std (float): Standard deviation of each component, in pixels.
        grid (int): Grid points in either direction, at least 2.

    Raises:
        TypeError: If ``grid`` is no integer.
        ValueError: If one is smaller.
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
    """Mirrors image and maps outwards, as far as a network loses of them.

    A crop of the result then has true pixels at all places the network gives
    an output for.

    Args:
        context (int): Pixels on each side.

    Raises:
        TypeError: If it is no integer.
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
class PackWeightedSegInputs(PackSegInputs):
    """mmseg's, with ``gt_weight_map`` as a field of the data sample.

    Raises:
        KeyError: If no ``BorderWeights`` came before.
    """

    def transform(self, results: dict) -> dict:
        if WEIGHTS not in results:
            raise KeyError(f'{WEIGHTS}: PackWeightedSegInputs wants '
                           'BorderWeights earlier in the pipeline')
        packed = super().transform(results)
        weights = to_tensor(np.ascontiguousarray(results[WEIGHTS])[None])
        packed['data_samples'].set_data({WEIGHTS: PixelData(data=weights)})
        return packed
