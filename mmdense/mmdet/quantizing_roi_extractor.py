"""The RoI layers that RoIAlign replaced: RoIPool and RoIWarp."""
import torch
from mmcv.ops import roi_align
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn
from torch.nn.modules.utils import _pair
from torchvision.ops import roi_pool

from mmdense.arguments import (
    check_at_least,
    check_config,
    check_pair,
    check_positive_number,
)
from mmdense.registry import MODELS

POOLINGS = ('avg', 'max')


class RoIPool(nn.Module):
    """Maxima over bins of whole pixels.

    Corners are rounded, ``[x / stride]``; bin i of n covers the pixels from
    ``floor(i w / n)`` to ``ceil((i + 1) w / n)`` of the w pixels from corner
    to corner, both included. mmcv's layer of this name rounds the bins only,
    and runs on GPUs only; torchvision's is the original.

    Args:
        output_size (int): Bins along each side.
        spatial_scale (float): 1 / stride.

    Raises:
        ValueError: If an argument is not a positive number.
    """

    def __init__(self, output_size: int, spatial_scale: float = 1.0):
        check_pair(output_size, 1, 'output_size')
        check_positive_number(spatial_scale=spatial_scale)
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = spatial_scale

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        """Pool (N, C, H, W) in (R, 5), image, x1, y1, x2, y2: (R, C, n, n).
        """
        return roi_pool(x, rois, self.output_size, self.spatial_scale)


class RoIWarp(nn.Module):
    """Bilinear samples as RoIAlign's, of an RoI rounded as RoIPool's.

    Args:
        output_size (int): Bins along each side.
        spatial_scale (float): 1 / stride.
        sampling_ratio (int): Samples along each side of a bin; 0 takes one
            a pixel, as mmcv's RoIAlign.
        pool_mode (str): ``'avg'`` or ``'max'`` of a bin's samples.

    Raises:
        TypeError: If ``sampling_ratio`` is not an integer.
        ValueError: If it is negative, or another argument is out of range.
    """

    def __init__(self,
                 output_size: int,
                 spatial_scale: float = 1.0,
                 sampling_ratio: int = 2,
                 pool_mode: str = 'avg'):
        check_pair(output_size, 1, 'output_size')
        check_positive_number(spatial_scale=spatial_scale)
        check_at_least(0, sampling_ratio=sampling_ratio)
        if pool_mode not in POOLINGS:
            raise ValueError(
                f'pool_mode must be one of {POOLINGS}, got {pool_mode!r}')
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.pool_mode = pool_mode

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        """Pool (N, C, H, W) in (R, 5), image, x1, y1, x2, y2: (R, C, n, n).
        """
        # Halves upwards, as C rounds them for coordinates that are >= 0.
        corners = (rois[:, 1:] * self.spatial_scale + 0.5).floor()
        corners[:, 2:] += 1  # the last pixel is inside
        rois = torch.cat([rois[:, :1], corners], 1)
        return roi_align(x, rois, self.output_size, 1.0, self.sampling_ratio,
                         self.pool_mode, False)


LAYERS = dict(RoIPool=RoIPool, RoIWarp=RoIWarp)


@MODELS.register_module()
class QuantizingRoIExtractor(SingleRoIExtractor):
    """mmdet's extractor with one of the layers that round the RoI.

    Source: K. He et al., *Mask R-CNN*, ICCV 2017, Section 3 and Table 2c.

    Args:
        roi_layer (dict): ``type`` (``'RoIPool'`` or ``'RoIWarp'``) and that
            layer's options but ``spatial_scale``.
        **kwargs: Of mmdet's ``SingleRoIExtractor``.

    Raises:
        TypeError: If ``roi_layer`` is not a dict.
        ValueError: If its type is another.
    """

    def build_roi_layers(self, layer_cfg: dict,
                         featmap_strides: list[int]) -> nn.ModuleList:
        check_config(LAYERS, roi_layer=layer_cfg)
        return super().build_roi_layers(
            dict(layer_cfg, type=LAYERS[layer_cfg['type']]), featmap_strides)
