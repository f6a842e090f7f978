"""CPN's global net as a neck."""
from collections.abc import Sequence

from torch import Tensor

from mmdense.adapters.initial_values import OwnValuesFirst
from mmdense.arguments import (
    check_at_least,
    check_axes,
    check_sequence,
)
from mmdense.modules.global_net import GlobalNet
from mmdense.registry import MODELS


@MODELS.register_module()
class GlobalNeck(OwnValuesFirst):
    """A neck that merges the stages of a backbone (CPN).

    Args:
        in_channels (Sequence[int]): Channels of the backbone's features,
            finest first.
        out_channels (int): Channels of the merged features.
        early (int): How many of the backbone's features are passed on in
            front, for early stage predictors.
        groups (int): Groups of the group norms.
        init_cfg (dict | list[dict], optional): As in mmengine.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If ``early`` is larger than the number of features; in
            ``forward``, if the features have other channels.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 out_channels: int = 256,
                 early: int = 0,
                 groups: int = 32,
                 init_cfg: dict | list[dict] | None = None):
        super().__init__(init_cfg)
        self.global_net = GlobalNet(in_channels, out_channels, groups)
        check_at_least(0, early=early)
        if early > len(in_channels):
            raise ValueError(f'early must be at most {len(in_channels)}, '
                             f'the length of in_channels, got {early}')
        self.in_channels = list(in_channels)
        self.early = early

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Merge the features of a backbone.

        Args:
            feats (Sequence[Tensor]): (N, C_i, H_i, W_i), finest first.

        Returns:
            tuple[Tensor, ...]: ``early`` of ``feats``, then one merged
            feature (N, out_channels, H_i, W_i) for each, coarsest first.
        """
        check_sequence(feats=feats)
        for index, x in enumerate(feats):
            check_axes(x, f'feats[{index}]')
        channels = [x.shape[1] for x in feats]
        if channels != self.in_channels:
            raise ValueError('GlobalNeck: in_channels must be the channels '
                             f'of the backbone, {channels}, got '
                             f'{self.in_channels}')
        return (*feats[:self.early], *self.global_net(feats))
