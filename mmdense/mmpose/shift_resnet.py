"""ResNet with feature shifting modules between its blocks."""
from mmpose.models.backbones import ResNet
from torch import Tensor

from mmdense.arguments import check_options, check_positive, check_positives
from mmdense.modules.feature_shift import FeatureShiftModule
from mmdense.registry import MODELS


@MODELS.register_module()
class ShiftResNet(ResNet):
    """ResNet of the host with feature shifting modules before its blocks.

    T. Qi et al., *Spatial Shortcut Network*, arXiv:1904.03141, Section 4:
    before every block except the one right after a stage's subsampling block
    (the second of stages 2 to 4). The module before a stage's first block
    works on the previous stage's channels and resolution. Parameter names
    are ResNet's, the modules' are ``shift<stage>_<block>``, counted from 1.

    With one stage it is the body of the paper's 3Block+3FSM network.

    Args:
        shift (dict, optional): Arguments of :class:`FeatureShiftModule`
            besides the channels; None for a plain ResNet.
        first_shift_channels (int, optional): K of the first module, where it
            differs from ``shift['shift_channels']``.
        num_stages, strides, dilations: As in ResNet, cut to ``num_stages``.
        **kwargs: As in ResNet.

    Raises:
        TypeError: If ``shift`` is not a dict, or a number is not an integer.
        ValueError: If there are not 1 to 4 stages with a stride and a
            dilation each; in ``forward``, if a side of the image is not
            divisible by the network's stride: maps could not be added on the
            way back.
    """

    def __init__(self,
                 depth: int,
                 shift: dict | None = None,
                 first_shift_channels: int | None = None,
                 num_stages: int = 4,
                 strides: tuple[int, ...] = (1, 2, 2, 2),
                 dilations: tuple[int, ...] = (1, 1, 1, 1),
                 **kwargs):
        check_positive(num_stages=num_stages)
        if num_stages > 4:
            raise ValueError(f'num_stages must be 1 to 4, got {num_stages}')
        check_positives(strides=strides, dilations=dilations)
        for name, values in dict(strides=strides, dilations=dilations).items():
            if len(values) < num_stages:
                raise ValueError(f'{name} must have {num_stages}, one a '
                                 f'stage, got {values}')
        if shift is not None:
            check_options(shift=shift)
        if first_shift_channels is not None:
            check_positive(first_shift_channels=first_shift_channels)
        super().__init__(
            depth,
            num_stages=num_stages,
            strides=strides[:num_stages],
            dilations=dilations[:num_stages],
            **kwargs)
        self.stride = 4
        for stride in self.strides:
            self.stride *= stride
        if shift is None:
            return
        channels = self.stem_channels
        for stage, layer in enumerate(self.res_layers, 1):
            for block, module in enumerate(getattr(self, layer), 1):
                if stage == 1 or block != 2:
                    own = dict(shift)
                    if (stage, block) == (1, 1) and first_shift_channels:
                        own['shift_channels'] = first_shift_channels
                    # Direct children: the host's initial values for every
                    # convolution come first, then their own.
                    self.add_module(f'shift{stage}_{block}',
                                    FeatureShiftModule(channels, **own))
                channels = module.out_channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of the stages in ``out_indices``.

        Args:
            x (Tensor): Images, (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: (N, C_i, H / s_i, W / s_i).
        """
        height, width = x.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f'{type(self).__name__}: image sides must be divisible by '
                f'{self.stride}, got {height} x {width}')
        if self.deep_stem:
            x = self.stem(x)
        else:
            x = self.relu(self.norm1(self.conv1(x)))
        x = self.maxpool(x)
        features = []
        for stage, layer in enumerate(self.res_layers, 1):
            for block, module in enumerate(getattr(self, layer), 1):
                shift = getattr(self, f'shift{stage}_{block}', None)
                x = module(x if shift is None else shift(x))
            if stage - 1 in self.out_indices:
                features.append(x)
        return tuple(features)
