"""Global Attention Upsample: coarse features weight the fine ones they join.

Source: H. Li, P. Xiong, J. An and L. Wang, *Pyramid Attention Network for
Semantic Segmentation*, arXiv:1805.10180, Section 3.2, Fig. 4, Table 3.
"""
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import check_map, check_positive
from mmdense.modules.conv_norm import (
    Norm,
    conv_norm,
    init_conv_norms,
    resize_like,
    run_on_few,
)


class GlobalAttentionUpsample(nn.Module):
    """Add fine features, weighted by the coarse ones' global context.

    ``out = up(high) + relu(bn(W mean(high))) * bn(reduce(low))``: ``W`` is a
    1x1 and ``reduce`` a 3x3 or 1x1 convolution, ``up`` bilinear resizing.
    Section 3.2 names a ReLU for the weight and none for ``reduce``, so there
    is none. Where ``high`` is wider than the output (the first of the chain
    without Feature Pyramid Attention, Table 3) a 1x1 convolution with batch
    norm brings it there; the weight still comes from the wide map.

    Args:
        low_channels (int): Channels of the fine map.
        high_channels (int): Channels of the coarse map.
        out_channels (int): Channels of the output.
        kernel_size (int): Kernel size of ``reduce``: 3, or 1 as in Table 3.
        global_context (bool): Whether ``low`` is weighted (GP of Table 3).
        align_corners (bool): Option of the bilinear resizing.
        norm (Callable[[int], nn.Module]): Makes a norm from its channels.

    Raises:
        ValueError: If ``kernel_size`` is even or below 1; in training, if the
            weight's batch norm sees a single image. Below eight there is a
            warning.
    """

    def __init__(self,
                 low_channels: int,
                 high_channels: int,
                 out_channels: int,
                 kernel_size: int = 3,
                 global_context: bool = True,
                 align_corners: bool = False,
                 norm: Norm = nn.BatchNorm2d):
        super().__init__()
        check_positive(
            low_channels=low_channels,
            high_channels=high_channels,
            out_channels=out_channels)
        self.high_channels = high_channels
        self.align_corners = align_corners
        self.reduce = conv_norm(
            low_channels, out_channels, kernel_size, norm, relu=False)
        self.weight = None
        if global_context:
            self.weight = conv_norm(high_channels, out_channels, 1, norm)
        self.project = nn.Identity()
        if high_channels != out_channels:
            self.project = conv_norm(
                high_channels, out_channels, 1, norm, relu=False)
        self.init_weights()

    def init_weights(self) -> None:
        init_conv_norms(self)

    def extra_repr(self) -> str:
        return f'align_corners={self.align_corners}'

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Join a fine and a coarse map.

        Args:
            low (Tensor): Fine map, (N, low_channels, H, W).
            high (Tensor): Coarse map, (N, high_channels, h, w), any size.

        Returns:
            Tensor: (N, out_channels, H, W).
        """
        check_map(low, self.reduce[0].in_channels, 'low')
        check_map(high, self.high_channels, 'high')
        fine = self.reduce(low)
        if self.weight is not None:
            fine = fine * run_on_few(
                self.weight, F.adaptive_avg_pool2d(high, 1),
                'GlobalAttentionUpsample, the weight from the global context',
                '; or set global_context=False')
        high = self.project(high)
        return resize_like(high, low, self.align_corners) + fine
