"""Feature shifting module: tunnels from far positions to every position.

Source: T. Qi, B. Bayramli, U. Ali, Q. Zhang and H. Lu, *Spatial Shortcut
Network for Human Pose Estimation*, arXiv:1904.03141, Sections 3.1 and 3.2,
Figure 2, Equations 1 to 6; the sigmoid of section 3 of its supplement.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import (
    check_map,
    check_positive,
    check_spread,
)
from mmdense.modules.insertable import Insertable
from mmdense.ops import channel_shift

ATTENTIONS = ('softplus', 'sigmoid', None)
KINDS = ('learned', 'fixed', 'whole')


class ChannelShift(nn.Module):
    """Move every channel by an offset of its own, which is learned.

    ``S_k(x, y) = R_k(x - dx_k, y - dy_k)`` (Equation 1): the picture moves
    *by* the offset. Bilinear, zeros come in at the border.

    Attributes:
        offset (Parameter): (dy, dx) in pixels of the map, shape (K, 2).

    Args:
        channels (int): K.
        std (float): Standard deviation of the initial offsets, normally
            distributed, in pixels. The paper names none. Two reasons against
            zero: it is a kink of bilinear interpolation, where only the slope
            on one side is seen, and channels that all look at the same place
            all get the same gradient. One pixel lets the slopes of a whole
            neighbourhood be seen.
        kind (str): ``'learned'``; ``'fixed'``, where they stay as they
            start; or ``'whole'``, where they are rounded to whole pixels,
            and stay. The last two are not in the paper: they tell what
            learning the offsets is worth.

    Raises:
        ValueError: If a number is too small or the kind unknown.
    """

    def __init__(self, channels: int, std: float = 1.0,
                 kind: str = 'learned'):
        super().__init__()
        check_positive(channels=channels)
        check_spread(std=std)
        if kind not in KINDS:
            raise ValueError(f'kind must be one of {KINDS}, got {kind!r}')
        self.std, self.kind = std, kind
        self.offset = nn.Parameter(
            torch.empty(channels, 2), requires_grad=kind == 'learned')
        self.init_weights()

    def init_weights(self) -> None:
        nn.init.normal_(self.offset, std=self.std)
        if self.kind == 'whole':
            with torch.no_grad():
                self.offset.round_()

    def extra_repr(self) -> str:
        return f'{len(self.offset)}, std={self.std}, kind={self.kind!r}'

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, K, H, W) to the same."""
        check_map(x, self.offset.shape[0])
        return channel_shift(x, -self.offset)

    def outside(self, size: tuple[int, int]) -> int:
        """Count the channels that are shifted out of a map of this (H, W).

        They read zeros, get no gradient and never come back.
        """
        limit = self.offset.new_tensor(size)
        return int((self.offset.detach().abs() >= limit).any(1).sum())

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # mmengine loads with strict=False: it would log the mismatch, and
        # leave the module half loaded.
        there = state_dict.get(f'{prefix}offset')
        if there is not None and there.shape != self.offset.shape:
            raise ValueError(
                f'{prefix}offset must be {len(self.offset)} x 2 offsets '
                f'(shift channels K = {len(self.offset)}), got '
                f'{tuple(there.shape)} from the checkpoint')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class CorrelationAttention(nn.Module):
    """Weight each shifted channel at every position.

    Equation 6: ``f = softplus(W P)``, divided by its sum over all positions;
    or, in the light network, ``sigmoid(W P)``.

    Args:
        channels (int): C, of the input.
        shift_channels (int): K, of the attention.
        kind (str): ``'softplus'`` or ``'sigmoid'``.
    """

    def __init__(self, channels: int, shift_channels: int, kind: str):
        super().__init__()
        check_positive(channels=channels, shift_channels=shift_channels)
        if kind not in ATTENTIONS[:2]:
            raise ValueError(
                f'kind must be one of {ATTENTIONS[:2]}, got {kind!r}')
        self.kind = kind
        self.conv = nn.Conv2d(channels, shift_channels, 1, bias=False)

    def extra_repr(self) -> str:
        return f'kind={self.kind}'

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H, W), values in (0, 1)."""
        check_map(x, self.conv.in_channels)
        x = self.conv(x)
        if self.kind == 'sigmoid':
            return x.sigmoid()
        x = F.softplus(x)
        return x / x.sum((2, 3), keepdim=True)


class FeatureShiftModule(Insertable):
    """Collect features over learned distances and add them to the map.

    ``Q = relu(bn(P + W_beta bn_K(F(P) * shift(W_alpha P))))``, F the
    correlation attention. ``bn_K`` behind the gate is not in the paper's
    Figure 2; its parameter counts need a second norm of width K, and a gate
    whose values sum to one over the map leaves numbers that need one.

    Args:
        channels (int): C, of input and output.
        shift_channels (int): K, the number of tunnels.
        attention (str, optional): ``'softplus'`` with spatial normalisation,
            ``'sigmoid'`` without (the light network), None for no gate.
        shifting (bool): Whether the channels are shifted.
        offset_std (float): See :class:`ChannelShift`.
        offset_kind (str): Likewise.

    Raises:
        ValueError: If a number of channels is below 1 or the attention is
            unknown.
    """

    def __init__(self,
                 channels: int,
                 shift_channels: int = 512,
                 attention: str | None = 'softplus',
                 shifting: bool = True,
                 offset_std: float = 1.0,
                 offset_kind: str = 'learned'):
        super().__init__()
        check_positive(channels=channels, shift_channels=shift_channels)
        check_spread(offset_std=offset_std)
        if attention not in ATTENTIONS:
            raise ValueError(f'attention must be one of {ATTENTIONS}, got '
                             f'{attention!r}')
        if offset_kind not in KINDS:
            raise ValueError(f'offset_kind must be one of {KINDS}, got '
                             f'{offset_kind!r}')
        self.alpha = nn.Conv2d(channels, shift_channels, 1, bias=False)
        self.shift = (
            ChannelShift(shift_channels, offset_std, offset_kind)
            if shifting else nn.Identity())
        self.attention = attention and CorrelationAttention(
            channels, shift_channels, attention)
        # Gated values are about 1 / (H W): the usual 1e-5 would be more than
        # their variance, and the norm no norm.
        self.gate_norm = nn.BatchNorm2d(shift_channels, eps=1e-10)
        self.beta = nn.Conv2d(shift_channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.init_weights()

    def init_weights(self) -> None:
        """Set convolutions to keep the variance, norms to 1 and 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='linear')
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, ChannelShift):
                module.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same; ``x`` itself while not inserted."""
        check_map(x, self.alpha.in_channels)
        if not self.is_inserted:
            return x
        far = self.shift(self.alpha(x))  # (N, K, H, W)
        if self.attention is not None:
            far = self.attention(x) * far
        return self.norm(x + self.beta(self.gate_norm(far))).relu()
