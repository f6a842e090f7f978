"""FCN for mmseg: the classifiers as a backbone, the skips as a head.

Source: J. Long, E. Shelhamer and T. Darrell, *Fully Convolutional Networks
for Semantic Segmentation*, CVPR 2015, Fig. 3. mmseg's own ``FCNHead`` is
another: convolutions on one map of a dilated backbone.
"""
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from mmdense.adapters.initial_values import OwnValuesFirst
from mmdense.arguments import check_config, check_maps, check_positive_number
from mmdense.mmseg.checked_inputs import CheckedInputs
from mmdense.modules.convolutional_classifier import (
    ConvolutionalAlexNet,
    ConvolutionalGoogLeNet,
    ConvolutionalVGG16,
)
from mmdense.modules.skip_fusion import SkipFusion
from mmdense.registry import HOOKS, MODELS

CLASSIFIERS = dict(
    AlexNet=ConvolutionalAlexNet,
    VGG16=ConvolutionalVGG16,
    GoogLeNet=ConvolutionalGoogLeNet)


@MODELS.register_module()
class ConvolutionalClassifier(OwnValuesFirst):
    """A classifier as a backbone; `tools/convert_classifier.py` fills it.

    Returns the image itself, whose size the head needs, and the maps at stride
    8, 16 and 32. Any image size works.

    Args:
        classifier (dict): ``type`` (``'AlexNet'``, ``'VGG16'`` or
            ``'GoogLeNet'``) and the options of that network in
            :mod:`mmdense.modules.convolutional_classifier`.
        init_cfg (dict | list[dict], optional): As in mmengine.

    Raises:
        TypeError: If ``classifier`` is not a dict.
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
        """Return the name of our entry ``name`` in torchvision's model."""
        return self.network.classifier_key(name.removeprefix('network.'))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.network(image)


@MODELS.register_module()
class FCNSkipHead(CheckedInputs, BaseDecodeHead):
    """FCN-32s, FCN-16s and FCN-8s: logits of the size of the image.

    Args:
        in_channels (Sequence[int]): Channels of the image, then of the maps,
            fine to coarse.
        in_index (Sequence[int]): Indices of these among the backbone's
            outputs.
        upsampling (Sequence[dict]): As in
            :class:`~mmdense.modules.skip_fusion.SkipFusion`, coarse to fine.
        **kwargs: ``num_classes``, ``loss_decode``, ``ignore_index`` and
            ``sampler`` of mmseg's BaseDecodeHead.

    Raises:
        TypeError: If an argument has the wrong type.
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
        """Map image and maps to logits of its size, (N, classes, H, W)."""
        image, *maps = self._transform_inputs(inputs)
        return self.fusion(maps, image.shape[-2:])


@HOOKS.register_module()
class FineTuningCheckHook(Hook):
    """Hook that stops a training from scratch at a rate for fine-tuning.

    FCN-16s and FCN-8s go on from a coarser network, at a hundredth of its
    rate. Without ``load_from`` their scores start from zero and that rate
    moves nothing: the loss stands still.

    Args:
        lr (float): Up to this rate a training must load a network.

    Raises:
        ValueError: If ``lr`` is not a positive number; before training, if
            nothing is loaded or resumed and the rate is not above it.
    """

    def __init__(self, lr: float = 1e-5):
        check_positive_number(lr=lr)
        self.lr = lr

    def before_train(self, runner: Runner) -> None:
        """Compare what was loaded with the rates.

        Args:
            runner (Runner): The runner, with the checkpoint loaded.
        """
        if runner._load_from is not None or runner._resume:
            return
        # Neither lowered by a warm-up nor that of the biases.
        rate = runner.optim_wrapper.optimizer.defaults['lr']
        if rate <= self.lr:
            raise ValueError(
                'FineTuningCheckHook: load_from must name the checkpoint of '
                f'a coarser FCN at a learning rate of {rate:g}, got None: '
                'the scores start from zero and would stay there. Train the '
                'coarser recipe (FCN-32s, then FCN-16s) on this data and '
                'set load_from to its last checkpoint; or start from the '
                'classifier with model.backbone.init_cfg=dict(type='
                "'Pretrained', checkpoint='pretrain/vgg16_fully-"
                "convolutional.pth') and optim_wrapper.optimizer.lr=1e-4")
