"""Depth beside colour: what reads, encodes and stacks it, and two streams."""
from collections.abc import Sequence
from pathlib import Path

import mmcv
import mmengine.fileio as fileio
import numpy as np
import torch
from mmcv.transforms.base import BaseTransform
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdense.arguments import (
    check_config,
    check_map,
    check_options,
    check_positive_number,
    check_positives,
    check_sequence,
)
from mmdense.datasets.hha import KINECT, hha
from mmdense.registry import MODELS, TRANSFORMS

PARTS = ('colour', 'depth', 'hha')


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """Reads ``depth`` in metres, (H, W) float32, from beside the image.

    The picture has the image's name, 16 bits and one channel, and 0 where
    depth is missing.

    Args:
        folder (str): Folder beside that of the images.
        suffix (str): Of the pictures.
        unit (float): Metres of a step; a millimetre by default.
        backend_args (dict, optional): Of mmengine's file backends.

    Raises:
        TypeError: If a name is none.
        ValueError: If ``unit`` is not positive; on call, if the image comes
            without a file, or the picture has several channels or another
            size than the image.
    """

    def __init__(self,
                 folder: str = 'depth',
                 suffix: str = '.png',
                 unit: float = 0.001,
                 backend_args: dict | None = None):
        for name, value in dict(folder=folder, suffix=suffix).items():
            if not isinstance(value, str):
                raise TypeError(
                    f'LoadDepth: {name} must be a name, got {value!r}')
        check_positive_number(unit=unit)
        check_options(backend_args=backend_args or {})
        self.folder = folder
        self.suffix = suffix
        self.unit = unit
        self.backend_args = backend_args

    def file_beside(self, image: str | Path) -> str:
        """Return the depth picture of an image file."""
        image = Path(image)
        return str(image.parent.parent / self.folder /
                   f'{image.stem}{self.suffix}')

    def transform(self, results: dict) -> dict:
        image = results.get('img_path')
        if image is None:
            raise ValueError('LoadDepth: img_path must name the file of the '
                             'image, beside which its depth lies, got none')
        path = self.file_beside(image)
        content = fileio.get(path, backend_args=self.backend_args)
        depth = mmcv.imfrombytes(content, flag='unchanged', backend='pillow')
        size = results['img'].shape[:2]
        if depth.shape != size:
            raise ValueError(f'LoadDepth: {path} must have one channel of the '
                             f'size of the image, {size}, got {depth.shape}')
        results['depth'] = depth.astype(np.float32) * np.float32(self.unit)
        return results


@TRANSFORMS.register_module()
class EncodeHHA(BaseTransform):
    """Makes ``hha`` of ``depth``, see :func:`mmdense.datasets.hha.hha`.

    Args:
        camera (Sequence[float]): Focal lengths and centre in pixels.
        gravity (Sequence[float], optional): Direction down in the camera's
            coordinates; None estimates it from each image.
        radius (int): Of the windows of the normals, in pixels.

    Raises:
        ValueError, TypeError: If one is none of these.
        KeyError: On call, if no ``LoadDepth`` came before.
    """

    def __init__(self,
                 camera: Sequence[float] = KINECT,
                 gravity: Sequence[float] | None = None,
                 radius: int = 3):
        self.options = dict(camera=camera, gravity=gravity, radius=radius)
        # Before a training, not at its first image.
        hha(np.ones((1, 1), np.float32), **self.options)

    def transform(self, results: dict) -> dict:
        if 'depth' not in results:
            raise KeyError('EncodeHHA: depth must be there: put LoadDepth '
                           'earlier in the pipeline')
        results['hha'] = hha(results['depth'], **self.options)
        return results


@TRANSFORMS.register_module()
class StackParts(BaseTransform):
    """Makes ``img``, (H, W, C) float32, of colour, depth and HHA.

    Colour becomes red, green, blue here: the data preprocessor's
    ``bgr_to_rgb`` would drop all channels behind the third and must be False.
    Behind this step the channels are flipped, cropped and resized together.

    Args:
        parts (Sequence[str]): Some of ``'colour'`` (3 channels), ``'depth'``
            (1, in metres) and ``'hha'`` (3), in order.

    Raises:
        TypeError, ValueError: If there is no part, or another.
        KeyError: On call, if the step that makes one did not come before.
    """

    def __init__(self, parts: Sequence[str]):
        check_sequence(parts=parts)
        if not parts or not all(part in PARTS for part in parts):
            raise ValueError(f'StackParts: parts must be some of {PARTS}, got '
                             f'{parts!r}')
        self.parts = list(parts)

    def transform(self, results: dict) -> dict:
        for part, step in dict(depth='LoadDepth', hha='EncodeHHA').items():
            if part in self.parts and part not in results:
                raise KeyError(f'StackParts: {part} must be there: put {step} '
                               'earlier in the pipeline')
        maps = dict(results, colour=results['img'][..., ::-1])
        results['img'] = np.concatenate([
            maps[part].reshape(*results['img'].shape[:2], -1)
            for part in self.parts], 2).astype(np.float32)
        return results


@MODELS.register_module()
class LateFusion(BaseModule):
    """Backbones side by side, each on its own channels of the image.

    The maps of one stride are put one behind the other. A 1x1 score layer of
    ``FCNSkipHead`` on them is then the sum of a score layer of each stream,
    as in FCN's RGB-HHA (Table 4; slide 19), with one bias where the sum would
    have one a stream.

    Args:
        streams (Sequence[dict]): Configs of the backbones. Each gives the
            same number of maps, of the same sizes.
        channels (Sequence[int]): Of the image, for each stream.
        init_cfg (dict, optional): As in mmengine; mostly each stream has its
            own.

    Attributes:
        image_channels (int): Of all streams.

    Raises:
        TypeError: If an argument is no list, or a stream no config.
        ValueError: If there is not one number of channels for each stream; on
            call, if the image has not as many.
    """

    def __init__(self,
                 streams: Sequence[dict],
                 channels: Sequence[int],
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        check_sequence(streams=streams)
        check_positives(channels=channels)
        for k, stream in enumerate(streams):
            check_config(**{f'streams[{k}]': stream})
        if not streams or len(streams) != len(channels):
            raise ValueError(
                'LateFusion: channels must have one number for each of the '
                f'{len(streams)} streams, got {list(channels)}')
        self.streams = nn.ModuleList(map(MODELS.build, streams))
        self.channels = list(channels)
        self.image_channels = sum(channels)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        check_map(image, self.image_channels, 'image')
        maps = zip(*(stream(part) for stream, part in zip(
            self.streams, image.split(self.channels, 1), strict=True)),
            strict=True)
        return tuple(torch.cat(same, 1) for same in maps)
