"""The Flattening Module as a neck for any host."""
from collections.abc import Sequence

from torch import Tensor

from mmdense.adapters.initial_values import OwnValuesFirst
from mmdense.adapters.norms import BATCH_NORM, norm_from
from mmdense.arguments import check_axes, check_sequence
from mmdense.modules.flattening import FlatteningModule
from mmdense.modules.once import warn_once
from mmdense.registry import MODELS


@MODELS.register_module()
class FlatteningNeck(OwnValuesFirst):
    """A neck that turns coarse features into fine ones (FlatteNet).

    The head of the host comes after it, without deconvolutions: the paper's
    predictor is one 1x1 convolution on ``out_channels`` channels. A neck sees
    neither the head nor the image: set the head's ``in_channels`` to the
    ``out_channels`` that ``print(model.neck)`` shows.

    Args:
        in_channels (int): Channels of the backbone feature that is used.
        upscale (int): Side of the grid one coarse position becomes.
        layers (Sequence[dict]): See :class:`FlatteningModule`.
        rearrangement (str): ``'channel_shuffle'``, ``'pixel_shuffle'`` or
            ``'random_permutation'``, each followed by pixel shuffle.
        seed (int): Seed of the random permutation; other kinds ignore it.
        rearrange (bool): False leaves the descriptors on the coarse grid,
            stacked position-major along the channels, for a head that
            predicts there (``FoldedHeatmapHead``).
        in_index (int): Index of the feature of the backbone to use.
        norm_cfg (dict): Norm after every convolution, as in the hosts.
        init_cfg (dict | list[dict], optional): As in mmengine; it is applied
            after the module's own initial values.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a group number or ``upscale`` does not fit the channels;
            in ``forward``, if the feature has other channels than
            ``in_channels`` or ``in_index`` is out of range.
    """

    def __init__(self,
                 in_channels: int,
                 upscale: int,
                 layers: Sequence[dict],
                 rearrangement: str = 'channel_shuffle',
                 seed: int = 0,
                 rearrange: bool = True,
                 in_index: int = -1,
                 norm_cfg: dict = BATCH_NORM,
                 init_cfg: dict | list[dict] | None = None):
        super().__init__(init_cfg)
        if not isinstance(in_index, int):
            raise TypeError(f'in_index must be an integer, got {in_index!r}')
        self.in_channels = in_channels
        self.in_index = in_index
        self.rearrange = rearrange
        self.module = FlatteningModule(in_channels, upscale, layers,
                                       rearrangement, seed,
                                       norm_from(norm_cfg))

    @property
    def out_channels(self) -> int:
        """Channels of the feature that ``forward`` returns."""
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
                'FlatteningNeck: in_index must name one of the '
                f'{len(feats)} features of the backbone, got {self.in_index}')
        x = feats[self.in_index]
        check_axes(x, f'feats[{self.in_index}]')
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f'FlatteningNeck: feature in_index={self.in_index} must have '
                f'in_channels={self.in_channels} channels, got shapes '
                f'{[tuple(f.shape) for f in feats]} from the backbone')
        out = self.module(x) if self.rearrange else self.module.coarse(x)
        if self.training:
            self._check_stride(feats, x, out)
        return (out, )

    def extra_repr(self) -> str:
        return f'out_channels={self.out_channels}'

    def _check_stride(self, feats: Sequence[Tensor], x: Tensor,
                      out: Tensor) -> None:
        """Warn if the fine map is finer than the finest feature."""
        rows = out.shape[2]
        if not self.rearrange:
            rows = rows * self.module.rearrangement.upscale
        finest = max(f.shape[2] for f in feats)
        # Equal features are those of a plain transformer.
        if x.shape[2] < finest < rows:
            warn_once(
                'FlatteningNeck: the fine map must not be finer than the '
                f'finest feature, got {rows} rows of {x.shape[2]} where the '
                f'backbone also gives {finest}; FlatteNet is for a backbone '
                'without dilations: strides=(1, 2, 2, 2), '
                'dilations=(1, 1, 1, 1)')
