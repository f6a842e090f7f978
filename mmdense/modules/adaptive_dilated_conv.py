"""Adaptive dilated convolution: dilation rates regressed from the input."""
import math
import zlib
from numbers import Real

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdense.arguments import (
    check_map,
    check_pair,
    check_positive,
    check_positive_number,
    check_share,
)
from mmdense.ops import adaptive_dilated_conv2d


def read_old_bias(state_dict: dict, prefix: str) -> None:
    """Convert the bias of an older checkpoint to an offset from 1.

    Args:
        state_dict (dict): Changed in place if it holds ``bias``, as older ones
            do.
        prefix (str): Prefix of the names, with the dot.
    """
    bias = state_dict.pop(f'{prefix}bias', None)
    if bias is not None:
        state_dict.setdefault(f'{prefix}offset', bias - 1)


class HiddenLinear(nn.Module):
    """A fully connected layer: ``x W^T + b``.

    Not an ``nn.Linear``, because many backbones (SegFormer's, MSCAN, PVTv2,
    VGG, MSPN) give every one of those inside them new random weights in
    their ``init_weights``.

    Args:
        in_features (int): Width of the input.
        out_features (int): Width of the output.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the values of a new ``nn.Linear``.

        They come from a generator of their own, seeded by the state of the
        global one, which stays as it is: everything else in a network starts
        with the values it has without this layer.
        """
        generator = torch.Generator().manual_seed(
            zlib.crc32(torch.get_rng_state().numpy()))
        bound = 1 / math.sqrt(self.in_features)
        with torch.no_grad():
            for parameter in self.parameters():
                values = torch.empty(parameter.shape, device='cpu')
                parameter.copy_(
                    values.uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        return F.linear(x, self.weight, self.bias)


class RateLinear(nn.Module):
    """The fully connected layer for the rates: ``1 + offset + x W^T``.

    The bias of the paper's layer is ``1 + offset``. Weight decay, which
    pulls every parameter to 0, so pulls the rates to 1, the plain
    convolution, and not to 0. No ``nn.Linear`` for the same reason as
    :class:`HiddenLinear`. A checkpoint that holds ``bias`` loads.

    Args:
        in_features (int): Width of the input.
        out_features (int): Width of the output.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.offset = nn.Parameter(torch.empty(out_features))
        self.init_weights()

    def init_weights(self) -> None:
        """Make every output 1, whatever the input."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.offset)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        return F.linear(x, self.weight, self.offset) + 1

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        read_old_bias(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class DilationRateRegression(nn.Module):
    """The dilation-rates regression module (DRM).

    Global average pooling and two fully connected layers, a ReLU after each.
    The last layer starts with weight zero and bias one, so every rate is
    exactly 1 before training. A host's ``init_weights`` leaves the layers as
    they are, and weight decay pulls the rates to 1: see :class:`HiddenLinear`
    and :class:`RateLinear`.

    Source: Luo et al., Adaptive Dilated Convolution for Human Pose
    Estimation, Section III-B, Equation 5, and III-D for the initial values.
    The paper names "nonlinear activations" without saying which; the last
    one must map 1 to 1, which ReLU does and sigmoid, tanh and softplus do
    not. Nor does it give the hidden width: a sixteenth of the input, as in
    squeeze-and-excitation, is the default.

    Args:
        channels (int): Channels of the input.
        groups_of_rates (int): Rates to regress, g.
        hidden_ratio (float): Hidden width as a share of ``channels``.
        rate_bounds (tuple[float, float], optional): Smallest and largest
            rate; None leaves them free (ReLU keeps them from 0 up).
        negative_slope (float): Of the first activation below zero: 0 is the
            ReLU, more makes it leaky, so that no hidden unit can die.

    Raises:
        TypeError: If a number is none.
        ValueError: If ``hidden_ratio`` is not positive, the bounds are not
            in order around 1, or the slope is not from 0 to 1.
    """

    def __init__(self,
                 channels: int,
                 groups_of_rates: int,
                 hidden_ratio: float = 1 / 16,
                 rate_bounds: tuple[float, float] | None = None,
                 negative_slope: float = 0.):
        super().__init__()
        check_positive(channels=channels, groups_of_rates=groups_of_rates)
        check_positive_number(hidden_ratio=hidden_ratio)
        check_share(negative_slope=negative_slope)
        if rate_bounds is not None and not (
                isinstance(rate_bounds, tuple | list) and len(rate_bounds) == 2
                and all(isinstance(bound, Real) for bound in rate_bounds)
                and rate_bounds[0] <= 1 <= rate_bounds[1]):
            raise ValueError('rate_bounds must be (smallest, largest) with '
                             'the initial rate 1 between, got '
                             f'{rate_bounds!r}')
        self.rate_bounds = rate_bounds
        self.fc1 = HiddenLinear(channels, max(1, int(channels * hidden_ratio)))
        self.fc2 = RateLinear(self.fc1.out_features, groups_of_rates)
        self.hidden = (
            nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU())
        self.relu = nn.ReLU()

    def init_weights(self) -> None:
        """Make every rate 1, whatever the input."""
        self.fc1.init_weights()
        self.fc2.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Regress the rates of each sample.

        Args:
            x (Tensor): (N, C, H, W).

        Returns:
            Tensor: (N, g), in units of the convolution's nominal dilation;
            float32 under autocast too, since positions are read off it.

        Raises:
            TypeError, ValueError: If ``x`` is another kind of map.
        """
        check_map(x, self.fc1.in_features)
        with torch.autocast(x.device.type, enabled=False):
            pooled = x.to(self.fc1.weight.dtype).mean((2, 3))  # (N, C)
            rate = self.relu(self.fc2(self.hidden(self.fc1(pooled))))
        if self.rate_bounds is not None:
            rate = rate.clamp(*self.rate_bounds)
        return rate


class StaticDilationRates(nn.Module):
    """Rates that are learned and do not depend on the input.

    What is left of :class:`DilationRateRegression` without ``fc1`` and the
    weight of ``fc2``: ``relu(1 + offset)``. Not in the paper; it tells what
    adaptation to the input adds to a dilation that is learned.

    Args:
        channels (int): Channels of the input.
        groups_of_rates (int): Rates to learn, g.
    """

    def __init__(self, channels: int, groups_of_rates: int):
        super().__init__()
        check_positive(channels=channels, groups_of_rates=groups_of_rates)
        self.channels = channels
        self.offset = nn.Parameter(torch.empty(groups_of_rates))
        self.init_weights()

    def init_weights(self) -> None:
        """Make every rate 1."""
        nn.init.zeros_(self.offset)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rates, the same for each sample.

        Args:
            x (Tensor): (N, C, H, W).

        Returns:
            Tensor: (N, g), in units of the convolution's nominal dilation.

        Raises:
            TypeError, ValueError: If ``x`` is another kind of map.
        """
        check_map(x, self.channels)
        return (1 + self.offset).relu().expand(len(x), -1)


class AdaptiveDilatedConv2d(nn.Conv2d):
    """A convolution whose dilation rates are fractional and input-dependent.

    Has the parameters of the ``nn.Conv2d`` it replaces under the same names,
    so pretrained weights load, plus ``rate_regression.*``. At initialisation
    every rate is 1 and the layer computes what the convolution computes. It
    has no ``init_weights`` (mmcv's ``ConvModule`` would skip its Kaiming
    values for a layer that has one) and needs none: hosts initialise it as
    the ``nn.Conv2d`` it is, and leave the regression as it is.

    Source: Luo et al., Adaptive Dilated Convolution for Human Pose
    Estimation, Section III. Departures: those of
    :func:`mmdense.ops.adaptive_dilated_conv2d` and
    :class:`DilationRateRegression`.

    The rates of a forward pass are the output of ``rate_regression``: a
    forward hook there reads them, and costs nothing where there is none.
    A ``paramwise_cfg`` with ``custom_keys=dict(rate_regression=dict(
    lr_mult=0.1, decay_mult=0))`` gives the regression a schedule of its own.

    Args:
        in_channels (int): As in ``nn.Conv2d``, like all down to ``bias``.
        out_channels (int): Output channels.
        kernel_size (int | tuple[int, int]): Odd sizes.
        stride (int | tuple[int, int]): Rows, columns.
        padding (int | tuple[int, int]): Rows, columns.
        dilation (int | tuple[int, int]): Nominal dilation, what a rate of 1
            means.
        groups (int): Convolution groups.
        bias (bool): Whether there is a bias.
        padding_mode (str): ``'zeros'`` only: a fractional position outside
            the map reads zero.
        groups_of_rates (int, optional): Rates per sample, g, dividing
            ``in_channels``; None gives every input channel its own (the
            paper's setting).
        hidden_ratio (float): See :class:`DilationRateRegression`.
        rate_bounds (tuple[float, float], optional): See
            :class:`DilationRateRegression`.
        negative_slope (float): See :class:`DilationRateRegression`.
        regress (bool): False learns rates that do not depend on the input
            (:class:`StaticDilationRates`, still ``rate_regression``), and
            the three options before this one have no effect.

    Raises:
        ValueError: If the kernel is even, g does not divide ``in_channels``,
            or ``padding_mode`` is not zeros.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 kernel_size: int | tuple[int, int],
                 stride: int | tuple[int, int] = 1,
                 padding: int | tuple[int, int] = 0,
                 dilation: int | tuple[int, int] = 1,
                 groups: int = 1,
                 bias: bool = True,
                 padding_mode: str = 'zeros',
                 groups_of_rates: int | None = None,
                 hidden_ratio: float = 1 / 16,
                 rate_bounds: tuple[float, float] | None = None,
                 negative_slope: float = 0.,
                 regress: bool = True):
        check_positive(
            in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, size, least in (('kernel_size', kernel_size, 1),
                                  ('stride', stride, 1),
                                  ('padding', padding, 0),
                                  ('dilation', dilation, 1)):
            check_pair(size, least, name)
        super().__init__(in_channels, out_channels, kernel_size, stride,
                         padding, dilation, groups, bias, padding_mode)
        name = type(self).__name__
        if any(k % 2 == 0 for k in self.kernel_size):
            raise ValueError(
                f'{name}: kernel_size must be odd, got {self.kernel_size}')
        if padding_mode != 'zeros':
            raise ValueError(f"{name}: padding_mode must be 'zeros', got "
                             f'{padding_mode!r}')
        if groups_of_rates is None:
            groups_of_rates = in_channels
        check_positive(groups_of_rates=groups_of_rates)
        if in_channels % groups_of_rates:
            raise ValueError(
                f'{name}: groups_of_rates must divide in_channels = '
                f'{in_channels}, got {groups_of_rates}')
        if not isinstance(regress, bool):
            raise TypeError(f'{name}: regress must be a bool, got {regress!r}')
        self.rate_regression = DilationRateRegression(
            in_channels, groups_of_rates, hidden_ratio, rate_bounds,
            negative_slope) if regress else StaticDilationRates(
                in_channels, groups_of_rates)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve at the rates regressed from ``x`` itself.

        Args:
            x (Tensor): (N, C_in, H, W).

        Returns:
            Tensor: (N, C_out, H_out, W_out), the size ``nn.Conv2d`` gives.
        """
        return adaptive_dilated_conv2d(x, self.weight,
                                       self.rate_regression(x), self.bias,
                                       self.stride, self.padding,
                                       self.dilation, self.groups)
