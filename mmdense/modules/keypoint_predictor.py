"""Predictor of heatmaps, as the Spatial Shortcut Network puts on its stages.

Source: T. Qi et al., *Spatial Shortcut Network for Human Pose Estimation*,
arXiv:1904.03141, Figure 2 and Section 3.3. The paper describes no layer of a
predictor; these reproduce its parameter and FLOPs counts.
"""
import functools

from torch import Tensor, nn

from mmdense.arguments import check_map, check_positive
from mmdense.modules.conv_norm import conv_norm, init_conv_norms, resize_like

ENLARGED = ('heatmaps', 'features')


class KeypointPredictor(nn.Module):
    """1x1 convolution, group norm, ReLU; 3x3 convolution, batch norm.

    Args:
        in_channels (int): Channels of the feature.
        out_channels (int): Number of keypoints.
        channels (int): Channels of the hidden map.
        reduce (bool): Whether one more 1x1 convolution with group norm and
            ReLU comes first; necessary unless ``in_channels`` is
            ``channels``.
        enlarge (str): What is resized to the size of the output: the
            ``'heatmaps'``, or the ``'features'`` before the 3x3.
        groups (int): Groups of the group norms.

    Raises:
        ValueError: If ``enlarge`` is another, or the channels do not fit.
    """

    # A predicted map has about the spread of a target (a few bright pixels
    # in a dark map), instead of 1, from the start.
    initial_spread = 0.05

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 channels: int = 256,
                 reduce: bool = False,
                 enlarge: str = 'heatmaps',
                 groups: int = 32):
        super().__init__()
        check_positive(
            in_channels=in_channels, channels=channels, groups=groups)
        if channels % groups:
            raise ValueError(f'groups must be a divisor of channels = '
                             f'{channels}, got {groups}')
        if enlarge not in ENLARGED:
            raise ValueError(f'enlarge must be one of {ENLARGED}, got '
                             f'{enlarge!r}')
        if not reduce and in_channels != channels:
            raise ValueError(f'in_channels must be channels={channels} '
                             f'without reduce, got {in_channels}')
        self.in_channels = in_channels
        self.enlarge = enlarge
        norm = functools.partial(nn.GroupNorm, groups)
        self.reduce = (
            conv_norm(in_channels, channels, 1, norm)
            if reduce else nn.Identity())
        self.mix = conv_norm(channels, channels, 1, norm)
        self.score = conv_norm(channels, out_channels, 3, relu=False)
        self.init_weights()

    def init_weights(self) -> None:
        init_conv_norms(self)
        nn.init.constant_(self.score[1].weight, self.initial_spread)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """Predict heatmaps.

        Args:
            x (Tensor): (N, in_channels, h, w).
            like (Tensor): (N, any, H, W), tells the size of the output.

        Returns:
            Tensor: (N, out_channels, H, W).
        """
        check_map(x, self.in_channels)
        check_map(like, None, 'like')
        x = self.mix(self.reduce(x))
        if self.enlarge == 'features':
            x = resize_like(x, like, align_corners=False)
        return resize_like(self.score(x), like, align_corners=False)
