"""The segmentation heads of HRNetV2, with the biases of the original.

Source: J. Wang et al., *Deep High-Resolution Representation Learning for
Visual Recognition*, TPAMI 43(10), 2021, Section 3.4 and Table 3; Y. Yuan,
X. Chen and J. Wang, *Object-Contextual Representations for Semantic
Segmentation*, ECCV 2020. mmseg's relatives leave out the biases in front of
norms. A norm cancels them, but Table 3 counts them.
"""
import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import FCNHead, OCRHead
from torch import nn

from mmdense.arguments import check_maps
from mmdense.mmseg.checked_inputs import CheckedInputs
from mmdense.registry import MODELS

STREAMS = (0, 1, 2, 3)


def _give_bias(module: ConvModule) -> None:
    module.conv.bias = nn.Parameter(torch.zeros(module.conv.out_channels))


@MODELS.register_module()
class HRNetV2Head(CheckedInputs, FCNHead):
    """All streams at the finest one's size, mixed and classified.

    ``classes(ReLU(BN(W x + b)))`` at each position, x the concatenation of
    the streams, the coarser ones enlarged bilinearly: 15 C channels, of which
    W, 1x1, makes as many. The logits have a quarter of the image's sides.

    Args:
        in_channels (list[int]): Channels of the streams, fine to coarse.
        in_index (tuple[int]): Indices of the streams among the backbone's
            outputs.
        **kwargs: Of mmseg's ``BaseDecodeHead``.

    Raises:
        TypeError: If an argument is not a list of integers.
        ValueError: If a stream has no channel, or not one index.
    """

    def __init__(self, in_channels: list[int], in_index=STREAMS, **kwargs):
        check_maps(in_channels, in_index)
        super().__init__(
            in_channels=in_channels,
            channels=sum(in_channels),
            in_index=in_index,
            input_transform='resize_concat',
            num_convs=1,
            kernel_size=1,
            concat_input=False,
            dropout_ratio=0,
            **kwargs)
        _give_bias(self.convs[0])


@MODELS.register_module()
class HRNetOCRHead(CheckedInputs, OCRHead):
    """Object-contextual representations on HRNetV2's streams.

    The second of ``CascadeEncoderDecoder``'s heads: the first one's logits,
    softmax over positions, gather 512 channels of each class; each position
    attends to the classes with keys of 256 channels.

    Args:
        in_channels (list[int]): Channels of the streams, fine to coarse.
        in_index (tuple[int]): Indices of the streams among the backbone's
            outputs.
        **kwargs: Of mmseg's ``BaseDecodeHead``.

    Raises:
        TypeError: If an argument is not a list of integers.
        ValueError: If a stream has no channel, or not one index.
    """

    def __init__(self, in_channels: list[int], in_index=STREAMS, **kwargs):
        check_maps(in_channels, in_index)
        super().__init__(
            in_channels=in_channels,
            channels=512,
            ocr_channels=256,
            in_index=in_index,
            input_transform='resize_concat',
            dropout_ratio=0.05,
            **kwargs)
        _give_bias(self.bottleneck)
