"""DeepLabv3's head as it was published."""
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import ASPPHead

from mmdense.registry import MODELS


@MODELS.register_module()
class PointwiseASPPHead(ASPPHead):
    """Atrous spatial pyramid pooling, its branches joined by a 1x1.

    Source: L.-C. Chen, G. Papandreou, F. Schroff and H. Adam, *Rethinking
    Atrous Convolution for Semantic Image Segmentation*, arXiv:1706.05587,
    Section 3.3. mmseg joins the branches by a 3x3.

    Args:
        **kwargs: Of mmseg's ``ASPPHead``.
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
