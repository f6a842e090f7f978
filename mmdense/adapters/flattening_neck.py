"""The Flattening Module as a neck for any host."""
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from mmdense.arguments import check_axes, check_sequence
from mmdense.modules.flattening import FlatteningModule
from mmdense.registry import MODELS


@MODELS.register_module()
class FlatteningNeck(BaseModule):
    """Coarse backbone features in, fine features out (FlatteNet).

    The host's stock head goes behind it, without deconvolutions: one 1x1
    convolution on ``out_channels`` channels is the paper's predictor.

    Args:
        in_channels (int): Channels of the backbone feature that is used.
        upscale (int): Side of the grid one coarse position becomes.
        layers (Sequence[dict]): See :class:`FlatteningModule`.
        rearrangement (str): ``'channel_shuffle'``, ``'pixel_shuffle'`` or
            ``'random_permutation'``, each followed by pixel shuffle.
        seed (int): Of the random permutation; other kinds ignore it.
        rearrange (bool): False leaves the descriptors on the coarse grid,
            stacked position-major along the channels, for a head that
            predicts there (``FoldedHeatmapHead``).
        in_index (int): Which of the backbone's features to use.
        init_cfg (dict | list[dict], optional): As in mmengine.

    Raises:
        ValueError: If a group number or ``upscale`` does not fit the
            channels; in ``forward``, if the feature has other channels than
            ``in_channels`` or there is none at ``in_index``.
    """

    def __init__(self,
                 in_channels: int,
                 upscale: int,
                 layers: Sequence[dict],
                 rearrangement: str = 'channel_shuffle',
                 seed: int = 0,
                 rearrange: bool = True,
                 in_index: int = -1,
                 init_cfg: dict | list[dict] | None = None):
        super().__init__(init_cfg)
        if not isinstance(in_index, int):
            raise TypeError(f'in_index wants an integer, got {in_index!r}')
        self.in_channels = in_channels
        self.in_index = in_index
        self.rearrange = rearrange
        self.module = FlatteningModule(in_channels, upscale, layers,
                                       rearrangement, seed)

    @property
    def out_channels(self) -> int:
        """Channels of the feature ``forward`` returns."""
        fine = self.module.out_channels
        grid = self.module.rearrangement.upscale**2
        return fine if self.rearrange else fine * grid

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor]:
        """Flatten one feature.

        Args:
            feats (Sequence[Tensor]): Backbone features, each (N, C, H, W).

        Returns:
            tuple[Tensor]: One feature, (N, C', H * upscale, W * upscale) for
            layers of stride 1, with C' = ``out_channels``.
        """
        check_sequence(feats=feats)
        if not -len(feats) <= self.in_index < len(feats):
            raise ValueError(
                f'FlatteningNeck wants the feature at in_index='
                f'{self.in_index}, the backbone gives {len(feats)}')
        x = feats[self.in_index]
        check_axes(x, f'feats[{self.in_index}]')
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f'FlatteningNeck wants in_channels={self.in_channels} at '
                f'in_index={self.in_index}, the backbone gives shapes '
                f'{[tuple(f.shape) for f in feats]}')
        return (self.module(x) if self.rearrange else self.module.coarse(x), )
