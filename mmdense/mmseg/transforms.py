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

from mmdense.datasets.border_weights import border_weights
from mmdense.datasets.elastic_deformation import deform, displacement_field
from mmdense.datasets.writing import write_bytes
from mmdense.registry import TRANSFORMS

WEIGHTS = 'gt_weight_map'


@TRANSFORMS.register_module()
class LabelsFromValues(BaseTransform):
    """Turns pixel values of a label picture into class indices.

    Without a label picture, as mmseg's inferencer runs a test pipeline, it
    does nothing.

    Args:
        values (Sequence[int]): The value of each class, in order.

    Raises:
        ValueError: On call, if a pixel has none of them.
    """

    def __init__(self, values: Sequence[int]):
        self.values = list(values)

    def transform(self, results: dict) -> dict:
        label = results.get('gt_seg_map')
        if label is None:
            return results
        table = np.full(256, len(self.values), np.uint8)
        table[self.values] = np.arange(len(self.values))
        classes = table[label]
        strange = np.unique(label[classes == len(self.values)])
        if len(strange):
            raise ValueError(
                f'{results.get("seg_map_path")}: wants pixels of '
                f'{self.values}, got {strange.tolist()} too')
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
    """

    def __init__(self, cache_dir: str | None = None, **options):
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
    """

    def __init__(self, std: float = 10, grid: int = 3):
        if std < 0 or grid < 2:
            raise ValueError('wants std of at least 0 and grid of at least 2, '
                             f'got {std} and {grid}')
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
    """

    def __init__(self, context: int):
        if context < 0:
            raise ValueError(f'context wants at least 0, got {context}')
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
