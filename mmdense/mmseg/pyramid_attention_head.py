"""The decoder of the Pyramid Attention Network as an mmseg head.

Source: H. Li, P. Xiong, J. An and L. Wang, *Pyramid Attention Network for
Semantic Segmentation*, arXiv:1805.10180, Section 3.3, Fig. 2.
"""
from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmdense.adapters.initial_values import OwnValuesFirst
from mmdense.adapters.norms import BATCH_NORM, norm_from
from mmdense.arguments import (
    check_config,
    check_maps,
    check_options,
    check_positive,
)
from mmdense.mmseg.checked_inputs import CheckedInputs
from mmdense.modules.conv_norm import Norm
from mmdense.modules.feature_pyramid_attention import FeaturePyramidAttention
from mmdense.modules.global_attention_upsample import GlobalAttentionUpsample
from mmdense.modules.squeeze_excite_attention import SqueezeExciteAttention
from mmdense.registry import MODELS

ATTENTIONS = dict(
    FeaturePyramidAttention=FeaturePyramidAttention,
    SqueezeExciteAttention=SqueezeExciteAttention)

# The network of Fig. 2.
PYRAMID = dict(type='FeaturePyramidAttention')
UPSAMPLE = dict()


@MODELS.register_module()
class PyramidAttentionHead(OwnValuesFirst, CheckedInputs, BaseDecodeHead):
    """Attention on the coarsest map, then one upsample per finer map.

    The logits have the size of the finest map (1/4 with a ResNet); without
    upsamples, of the coarsest. The global context has one pixel an image, so
    its batch norms train on as many values as there are images: with one the
    training stops, below eight (per process, or of all with SyncBN) it warns.

    Args:
        in_channels (Sequence[int]): Channels of the maps, fine to coarse.
        channels (int): Channels of the attention's map and all that follow.
        in_index (Sequence[int]): Indices of these maps among the backbone's
            outputs.
        attention (dict, optional): ``type`` (``'FeaturePyramidAttention'`` or
            ``'SqueezeExciteAttention'``) and that module's own options; None
            for the decoder alone (Table 3).
        upsample (dict, optional): Options of
            :class:`~mmdense.modules.global_attention_upsample.GlobalAttentionUpsample`;
            None for attention alone (Tables 1 and 2).
        norm_cfg (dict): Norm of every convolution but the classifier.
        **kwargs: Of mmseg's BaseDecodeHead. ``align_corners`` reaches every
            resize.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If neither part is there, the attention's type is
            unknown, or ``conv_cfg`` or ``act_cfg`` asks for another layer;
            in ``forward``, if the backbone's maps have other channels, or a
            norm trains on one value.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int,
                 in_index: Sequence[int],
                 attention: dict | None = PYRAMID,
                 upsample: dict | None = UPSAMPLE,
                 norm_cfg: dict = BATCH_NORM,
                 **kwargs):
        check_maps(in_channels, in_index)
        check_positive(channels=channels)
        norm = norm_from(norm_cfg)
        if attention is not None:
            check_config(ATTENTIONS, attention=attention)
        if upsample is not None:
            check_options(upsample=upsample)
        super().__init__(
            in_channels,
            channels,
            in_index=in_index,
            input_transform='multiple_select',
            norm_cfg=norm_cfg,
            **kwargs)
        if self.conv_cfg is not None or self.act_cfg != dict(type='ReLU'):
            raise ValueError("PyramidAttentionHead: conv_cfg must be None and "
                             "act_cfg dict(type='ReLU'), as in the paper, got "
                             f'{self.conv_cfg} and {self.act_cfg}')
        *fine, width = self.in_channels
        if attention is None and (upsample is None or not fine):
            raise ValueError('PyramidAttentionHead: attention must be set, or '
                             f'upsample and at least two maps, got '
                             f'{attention} and {upsample} for '
                             f'in_channels={self.in_channels}; the backbone '
                             'alone is an FCNHead with num_convs=0')
        self.attention = None
        if attention is not None:
            self.attention = self._build_attention(
                width, norm, **attention)
            width = self.channels
        self.upsamples = nn.ModuleList()
        if upsample is not None:
            for low in reversed(fine):  # coarse to fine
                self.upsamples.append(
                    GlobalAttentionUpsample(
                        low,
                        width,
                        self.channels,
                        align_corners=self.align_corners,
                        norm=norm,
                        **upsample))
                width = self.channels

    def _build_attention(self, width: int, norm: Norm, type: str,
                         **options) -> nn.Module:
        if type == 'FeaturePyramidAttention':
            options['align_corners'] = self.align_corners
        return ATTENTIONS[type](width, self.channels, norm=norm, **options)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Map backbone maps, fine to coarse, to logits (N, classes, H, W)."""
        *fine, x = self._transform_inputs(inputs)
        if self.attention is not None:
            x = self.attention(x)
        for upsample, low in zip(self.upsamples, reversed(fine), strict=False):
            x = upsample(low, x)
        return self.cls_seg(x)
