"""DeepLabv3's head as it was published."""
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import ASPPHead
from torch import Tensor

from mmdense.mmseg.checked_inputs import CheckedInputs
from mmdense.modules.conv_norm import check_values
from mmdense.registry import MODELS


@MODELS.register_module()
class PointwiseASPPHead(CheckedInputs, ASPPHead):
    """Atrous spatial pyramid pooling, its branches joined by a 1x1.

    Source: L.-C. Chen, G. Papandreou, F. Schroff and H. Adam, *Rethinking
    Atrous Convolution for Semantic Image Segmentation*, arXiv:1706.05587,
    Section 3.3. mmseg joins the branches by a 3x3.

    Args:
        **kwargs: Of mmseg's ``ASPPHead``.

    Raises:
        ValueError: In ``forward``, if the backbone's map has other channels,
            or the norm of the pooled branch trains on one value.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.bottleneck = ConvModule(
            (len(self.dilations) + 1) * self.channels,
            self.channels,
            1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Map backbone maps to logits (N, classes, H, W)."""
        x = self._transform_inputs(inputs)
        pool = self.image_pool[1]
        if pool.with_norm:
            check_values(pool.norm, x[:, :, :1, :1],
                         'PointwiseASPPHead, the image pooling branch')
        return super().forward(inputs)
