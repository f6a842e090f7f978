"""Squeeze-and-excitation, with which the pyramid is compared.

Source: the row "ResNet101+SE" of Table 1 of H. Li, P. Xiong, J. An and
L. Wang, *Pyramid Attention Network for Semantic Segmentation*,
arXiv:1805.10180; the gate is that of J. Hu, L. Shen and G. Sun,
*Squeeze-and-Excitation Networks*, arXiv:1709.01507, Section 3.
"""
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import check_map, check_positive
from mmdense.modules.conv_norm import Norm, conv_norm, init_conv_norms


class SqueezeExciteAttention(nn.Module):
    """Weight a reduced map channel by channel with its global context.

    ``out = value(x) * sigmoid(W2 relu(W1 mean(x)))``, ``value`` a 1x1
    convolution with batch norm and ReLU. It takes the place of
    :class:`FeaturePyramidAttention`, whose ``value`` it keeps; the paper says
    no more than that SENet's module replaces the pyramid.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        reduction (int): Input channels over hidden ones; SENet's 16.
        norm (Callable[[int], nn.Module]): Makes a norm from its channels.

    Raises:
        ValueError: If ``reduction`` leaves no hidden channel.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 256,
                 reduction: int = 16,
                 norm: Norm = nn.BatchNorm2d):
        super().__init__()
        check_positive(in_channels=in_channels)
        if not (isinstance(reduction, int)
                and 1 <= reduction <= in_channels):
            raise ValueError(f'reduction must be 1 to {in_channels} (the '
                             f'input channels), got {reduction}')
        self.value = conv_norm(in_channels, out_channels, 1, norm)
        hidden = in_channels // reduction
        self.squeeze = nn.Conv2d(in_channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, out_channels, 1)
        self.init_weights()

    def init_weights(self) -> None:
        init_conv_norms(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        check_map(x, self.value[0].in_channels)
        gate = self.squeeze(F.adaptive_avg_pool2d(x, 1)).relu()
        return self.value(x) * self.excite(gate).sigmoid()
