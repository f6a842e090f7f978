"""The original U-Net in mmseg: backbone, head and overlap-tile segmentor.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net: Convolutional Networks
for Biomedical Image Segmentation*, arXiv:1505.04597.
"""
import torch
from mmengine.model import BaseModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import accuracy
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from mmdense.arguments import check_options, check_positive
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
        init_cfg (dict, optional): Of mmengine, for pretrained weights.
        **kwargs: Of :class:`~mmdense.modules.u_net.UNet`.

    Attributes:
        context (int): Pixels lost on each side of the image.
        alignment (int): The total stride.
    """

    def __init__(self, init_cfg: dict | None = None, **kwargs):
        super().__init__(init_cfg)
        self.net = UNet(**kwargs)
        self.context = context(self.net.depth)
        self.alignment = 2**self.net.depth

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.net(x), )


@MODELS.register_module()
class ValidConvHead(BaseDecodeHead):
    """A 1x1 classifier that learns from the middle of the label map.

    For a backbone of unpadded convolutions: the label map is cropped to the
    logits, and neither is ever resized. With ``weighted`` the loss of each
    pixel is multiplied by the data sample's ``gt_weight_map``, cropped
    alike. mmseg's losses take the mean over pixels where the energy of the
    paper is the sum, and the sign it leaves out.

    Args:
        in_channels (int): Of the backbone's map.
        weighted (bool): Whether data samples bring a weight map.
        init_cfg (dict): By default the paper's N(0, sqrt(2 / in_channels)).
        **kwargs: Of mmseg's BaseDecodeHead.

    Raises:
        TypeError: If ``in_channels`` is no integer.
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

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps to logits (N, classes, H, W)."""
        return self.cls_seg(self._transform_inputs(inputs))

    def loss_by_feat(self, seg_logits: Tensor,
                     batch_data_samples: list) -> dict[str, Tensor]:
        """Losses and pixel accuracy in the middle of the label maps."""
        size = seg_logits.shape[2:]
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
        weights = None
        if self.weighted:
            weights = torch.cat(
                [s.gt_weight_map.data for s in batch_data_samples])
            if weights.shape != labels.shape:
                raise ValueError(
                    'gt_weight_map wants the size of the label map, '
                    f'{tuple(labels.shape)}, got {tuple(weights.shape)}')
            weights = crop_center(weights, *size)
        labels = crop_center(labels, *size)
        losses = {}
        criteria = self.loss_decode
        if not isinstance(criteria, nn.ModuleList):
            criteria = [criteria]
        for criterion in criteria:
            loss = criterion(
                seg_logits,
                labels,
                weight=weights,
                ignore_index=self.ignore_index)
            name = criterion.loss_name
            losses[name] = losses.get(name, 0) + loss
        losses['acc_seg'] = accuracy(
            seg_logits, labels, ignore_index=self.ignore_index)
        return losses

    def predict_by_feat(self, seg_logits: Tensor,
                        batch_img_metas: list[dict]) -> Tensor:
        """Refuses: mmseg would stretch the middle over the whole image."""
        raise NotImplementedError(
            'ValidConvHead predicts in an mmdense.OverlapTileSegmentor alone: '
            'its logits cover the middle of the image')


@MODELS.register_module()
class OverlapTileSegmentor(EncoderDecoder):
    """mmseg's, which predicts images of any size from overlapping tiles.

    ``test_cfg=dict(tile=(572, 572))`` is the size of the tiles; missing
    context at the image's border is mirrored. The backbone says what it
    loses: ``context`` and ``alignment``, as ``ValidUNet``.

    Raises:
        ValueError: If the backbone does not say it; in ``inference``, if
            ``test_cfg`` has no tile.
    """

    def __init__(self, backbone: dict, *args, **kwargs):
        super().__init__(backbone, *args, **kwargs)
        for name in ('context', 'alignment'):
            if not hasattr(self.backbone, name):
                raise ValueError(f'backbone wants one with {name}, as '
                                 'mmdense.ValidUNet, got '
                                 f'{type(self.backbone).__name__}')

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Images (N, C, H, W) to logits (N, classes, H, W)."""
        check_options(test_cfg=self.test_cfg)
        if 'tile' not in self.test_cfg:
            raise ValueError(f'test_cfg wants a tile (height, width), got '
                             f'{self.test_cfg}')
        return overlap_tile(self._forward, inputs, self.test_cfg['tile'],
                            self.backbone.context, self.backbone.alignment)
