"""FCN for mmseg: the classifiers as a backbone, the skips as a head.

Source: J. Long, E. Shelhamer and T. Darrell, *Fully Convolutional Networks
for Semantic Segmentation*, CVPR 2015, Fig. 3. mmseg's own ``FCNHead`` is
another: convolutions on one map of a dilated backbone.
"""
from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from mmdense.arguments import check_config, check_maps
from mmdense.modules.convolutional_classifier import (
    ConvolutionalAlexNet,
    ConvolutionalGoogLeNet,
    ConvolutionalVGG16,
)
from mmdense.modules.skip_fusion import SkipFusion
from mmdense.registry import MODELS

CLASSIFIERS = dict(
    AlexNet=ConvolutionalAlexNet,
    VGG16=ConvolutionalVGG16,
    GoogLeNet=ConvolutionalGoogLeNet)


@MODELS.register_module()
class ConvolutionalClassifier(BaseModule):
    """A classifier as a backbone; `tools/convert_classifier.py` fills it.

    Gives the image itself, whose size the head wants, and the maps at stride
    8, 16 and 32; any image size works.

    Args:
        classifier (dict): ``type`` (``'AlexNet'``, ``'VGG16'`` or
            ``'GoogLeNet'``) and the options of that network in
            :mod:`mmdense.modules.convolutional_classifier`.
        init_cfg (dict | list[dict], optional): As in mmengine.

    Raises:
        TypeError: If ``classifier`` is no dict.
        ValueError: If the type is unknown.
    """

    def __init__(self,
                 classifier: dict,
                 init_cfg: dict | list[dict] | None = None):
        check_config(CLASSIFIERS, classifier=classifier)
        super().__init__(init_cfg)
        options = dict(classifier)
        self.network = CLASSIFIERS[options.pop('type')](**options)

    def classifier_key(self, name: str) -> str:
        """The name in torchvision's classifier of our entry ``name``."""
        return self.network.classifier_key(name.removeprefix('network.'))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.network(image)


@MODELS.register_module()
class FCNSkipHead(BaseDecodeHead):
    """FCN-32s, FCN-16s and FCN-8s: logits of the size of the image.

    Args:
        in_channels (Sequence[int]): Of the image, then of the maps, fine to
            coarse.
        in_index (Sequence[int]): Which of the backbone's outputs these are.
        upsampling (Sequence[dict]): As in
            :class:`~mmdense.modules.skip_fusion.SkipFusion`, coarse to fine.
        **kwargs: ``num_classes``, ``loss_decode``, ``ignore_index`` and
            ``sampler`` of mmseg's BaseDecodeHead.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If there is not one index a map, or not one upsampling.
    """

    def __init__(self, in_channels: Sequence[int], in_index: Sequence[int],
                 upsampling: Sequence[dict], **kwargs):
        check_maps(in_channels, in_index)
        # The scores are in the fusion, the dropout is in the classifier.
        super().__init__(
            in_channels,
            channels=1,
            in_index=in_index,
            input_transform='multiple_select',
            dropout_ratio=0,
            init_cfg=None,
            **kwargs)
        del self.conv_seg
        self.fusion = SkipFusion(in_channels[1:], self.out_channels,
                                 upsampling)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Image and maps to logits (N, classes, H, W) of the image's size."""
        image, *maps = self._transform_inputs(inputs)
        return self.fusion(maps, image.shape[-2:])
