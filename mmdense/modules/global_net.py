"""Global net: a U-shape on a backbone's stages.

Source: Y. Chen et al., *Cascaded Pyramid Network for Multi-Person Pose
Estimation*, arXiv:1711.07319, Section 3.2.1, with the layers that reproduce
the parameter counts of the Spatial Shortcut Network (Table 1, "Backbone").
"""
import functools
from collections.abc import Sequence

from torch import Tensor, nn

from mmdense.arguments import check_map, check_positive, check_sequence
from mmdense.modules.conv_norm import conv_norm, init_conv_norms, resize_like


class GlobalNet(nn.Module):
    """U-shape that adds coarse features to the finer ones, stage by stage.

    ``y_i = relu(gn(W_i x_i)) + gn(V_i up(y_{i+1}))``, all convolutions 1x1
    without bias; the coarsest is its lateral branch alone.

    Args:
        in_channels (Sequence[int]): Channels of the stages, finest first.
        out_channels (int): Channels of every output.
        groups (int): Groups of the group norms.

    Raises:
        ValueError: If there is no stage, or the groups do not divide
            ``out_channels``.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 out_channels: int = 256,
                 groups: int = 32):
        super().__init__()
        check_sequence(in_channels=in_channels)
        if not in_channels:
            raise ValueError(
                'in_channels must have at least one stage, got none')
        for k, channels in enumerate(in_channels):
            check_positive(**{f'in_channels[{k}]': channels})
        check_positive(out_channels=out_channels, groups=groups)
        if out_channels % groups:
            raise ValueError(f'groups must be a divisor of out_channels = '
                             f'{out_channels}, got {groups}')
        norm = functools.partial(nn.GroupNorm, groups)
        self.laterals = nn.ModuleList(
            conv_norm(c, out_channels, 1, norm) for c in in_channels)
        self.downs = nn.ModuleList(
            conv_norm(out_channels, out_channels, 1, norm, relu=False)
            for _ in in_channels[1:])
        self.init_weights()

    def init_weights(self) -> None:
        init_conv_norms(self)

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Merge the stages.

        Args:
            stages (Sequence[Tensor]): (N, C_i, H_i, W_i), finest first.

        Returns:
            list[Tensor]: (N, out_channels, H_i, W_i), *coarsest* first, the
            order they are computed in.
        """
        check_sequence(stages=stages)
        if len(stages) != len(self.laterals):
            raise ValueError(f'stages must be {len(self.laterals)} maps, got '
                             f'{len(stages)}')
        for i, (lateral, x) in enumerate(
                zip(self.laterals, stages, strict=True)):
            check_map(x, lateral[0].in_channels, f'stages[{i}]')
        sides = [
            lateral(x)
            for lateral, x in zip(self.laterals, stages, strict=True)
        ]
        merged = [sides.pop()]
        for side, down in zip(sides[::-1], self.downs, strict=True):
            up = resize_like(merged[-1], side, align_corners=False)
            merged.append(side + down(up))
        return merged
