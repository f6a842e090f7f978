"""The original U-Net in mmseg: backbone, head and overlap-tile segmentor.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net: Convolutional Networks
for Biomedical Image Segmentation*, arXiv:1505.04597.
"""
import torch
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from mmdense.arguments import check_options, check_positive
from mmdense.mmseg.checked_inputs import CheckedInputs
from mmdense.modules.overlap_tile import overlap_tile
from mmdense.modules.u_net import UNet, context, crop_center
from mmdense.registry import MODELS

HE = dict(
    type='Kaiming',
    layer='Conv2d',
    mode='fan_in',
    nonlinearity='relu',
    distribution='normal')


@MODELS.register_module()
class ValidUNet(BaseModule):
    """U-Net with unpadded convolutions: one map, smaller than the image.

    Args:
        init_cfg (dict, optional): As in mmengine, for pretrained weights.
        **kwargs: Of :class:`~mmdense.modules.u_net.UNet`.

    Attributes:
        context (int): Pixels lost on each side of the image.
        alignment (int): The total stride.
        in_channels (int): Channels of the image.
    """

    def __init__(self, init_cfg: dict | None = None, **kwargs):
        super().__init__(init_cfg)
        self.net = UNet(**kwargs)
        self.context = context(self.net.depth)
        self.alignment = 2**self.net.depth
        self.in_channels = self.net.down[0][0].in_channels

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.net(x), )


class WeightMapSampler:
    """Pixel sampler of mmseg that passes the weight maps to the loss.

    Args:
        sampler (BasePixelSampler, optional): Another one, whose weights are
            multiplied by the maps.

    Attributes:
        weights (Tensor): The maps of the batch, (N, H, W); set before use.
    """

    def __init__(self, sampler=None):
        self.sampler = sampler
        self.weights = None

    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """Return the weights of the pixels, (N, H, W)."""
        if self.sampler is None:
            return self.weights
        return self.weights * self.sampler.sample(seg_logit, seg_label)


@MODELS.register_module()
class ValidConvHead(CheckedInputs, BaseDecodeHead):
    """A 1x1 classifier that learns from the middle of the label map.

    For a backbone of unpadded convolutions: the label map is cropped to the
    logits, and neither is ever resized. With ``weighted`` the loss of each
    pixel is multiplied by the data sample's ``gt_weight_map``, cropped
    alike, and by the weights of the ``sampler``, if there is one. mmseg's
    losses take the mean over pixels where the energy of the paper is the sum,
    and the sign it leaves out.

    Args:
        in_channels (int): Channels of the backbone's map.
        weighted (bool): Whether data samples bring a weight map.
        init_cfg (dict): As in mmengine; by default the paper's N(0, sqrt(2 /
            in_channels)).
        **kwargs: Of mmseg's BaseDecodeHead.

    Raises:
        TypeError: If ``in_channels`` is not an integer.
        ValueError: If it is below 1; on a loss of samples whose weight map
            has another size than the label map.
    """

    def __init__(self,
                 in_channels: int,
                 weighted: bool = False,
                 init_cfg: dict = HE,
                 **kwargs):
        check_positive(in_channels=in_channels)
        super().__init__(
            in_channels,
            channels=in_channels,
            dropout_ratio=0,
            init_cfg=init_cfg,
            **kwargs)
        self.weighted = weighted
        if weighted:
            self.sampler = WeightMapSampler(self.sampler)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Map backbone maps to logits (N, classes, H, W)."""
        return self.cls_seg(self._transform_inputs(inputs))

    def loss_by_feat(self, seg_logits: Tensor,
                     batch_data_samples: list) -> dict[str, Tensor]:
        """Compute losses and accuracy in the middle of the label maps."""
        size = seg_logits.shape[2:]
        labels = self._stack_batch_gt(batch_data_samples)
        if self.weighted:
            weights = torch.cat(
                [s.gt_weight_map.data for s in batch_data_samples])
            wanted = labels.squeeze(1).shape
            if weights.shape != wanted:
                raise ValueError(
                    'ValidConvHead: gt_weight_map must have the size of the '
                    f'label map, {tuple(wanted)}, got {tuple(weights.shape)}')
            self.sampler.weights = crop_center(weights, *size).contiguous()
        return super().loss_by_feat(seg_logits, [
            SegDataSample(gt_sem_seg=PixelData(data=label))
            for label in crop_center(labels, *size)
        ])

    def predict_by_feat(self, seg_logits: Tensor,
                        batch_img_metas: list[dict]) -> Tensor:
        """Raise: mmseg would stretch the middle over the whole image."""
        raise NotImplementedError(
            'ValidConvHead predicts in an mmdense.OverlapTileSegmentor alone: '
            'its logits cover the middle of the image')


@MODELS.register_module()
class OverlapTileSegmentor(EncoderDecoder):
    """Segmentor that predicts images of any size from overlapping tiles.

    ``test_cfg=dict(tile=(572, 572))`` is the size of the tiles; missing
    context at the image's border is mirrored. The backbone must have
    ``context`` and ``alignment``, as ``ValidUNet``.

    Raises:
        ValueError: If the backbone does not have them, or ``mean`` or ``std``
            of the data preprocessor has not one number for each channel of the
            image; in ``loss``, if images were padded with zeros, which the
            network would treat as image; in ``inference``, if ``test_cfg`` has
            no tile.
    """

    def __init__(self, backbone: dict, *args, **kwargs):
        super().__init__(backbone, *args, **kwargs)
        for name in ('context', 'alignment'):
            if not hasattr(self.backbone, name):
                raise ValueError(f'backbone must be one with {name}, as '
                                 'mmdense.ValidUNet, got '
                                 f'{type(self.backbone).__name__}')
        channels = getattr(self.backbone, 'in_channels', None)
        for name in ('mean', 'std'):
            # One number would be spread over all channels without a word.
            values = getattr(self.data_preprocessor, name, None)
            if None not in (channels, values) and len(values) != channels:
                raise ValueError(
                    f'data_preprocessor: {name} must have one number for '
                    f'each of the {channels} channels of the image '
                    '(backbone.in_channels), got '
                    f'{values.flatten().tolist()}')

    def loss(self, inputs: Tensor,
             data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Compute the loss; raise if images were padded with zeros."""
        for sample in data_samples:
            if any(sample.metainfo.get('padding_size', ())):
                raise ValueError(
                    'OverlapTileSegmentor: an image must be as large as the '
                    'crop that trains, at least '
                    f'{tuple(inputs.shape[-2:])}, got '
                    f'{tuple(sample.metainfo["img_shape"])}, filled up with '
                    'zeros: give MirrorPad a larger context, make crop_size '
                    '(and data_preprocessor.size) smaller, or end the '
                    'pipeline with RandomCrop')
        return super().loss(inputs, data_samples)

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes, H, W)."""
        check_options(test_cfg=self.test_cfg)
        if 'tile' not in self.test_cfg:
            raise ValueError(f'test_cfg must have a tile (height, width), got '
                             f'{self.test_cfg}')
        return overlap_tile(self._forward, inputs, self.test_cfg['tile'],
                            self.backbone.context, self.backbone.alignment)
