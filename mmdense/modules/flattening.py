"""The Flattening Module: coarse features to fine ones in one grouped layer.

Source: X. Cai and Y.-F. Pu, *FlatteNet: A Simple Versatile Framework for
Dense Pixelwise Prediction*, arXiv:1909.09961, Section III-B, Fig. 2 and 3,
Tables I, VII, IX and XI.
"""
import warnings
from collections.abc import Sequence

from torch import Tensor, nn

from mmdense.arguments import check_map, check_positive, check_sequence
from mmdense.modules.conv_norm import Norm, init_norm
from mmdense.modules.rearrangement import Rearrangement, channel_shuffle


def _check_divides(name: str, groups: int, channels: int) -> None:
    """Raise unless ``groups`` divides ``channels``."""
    check_positive(in_channels=channels, **{name: groups})
    if channels % groups == 0:
        return
    divisors = [d for d in range(1, channels + 1) if channels % d == 0]
    below = [d for d in divisors if d < groups][-1:]
    above = [d for d in divisors if d > groups][:1]
    near = ' and '.join(str(d) for d in below + above)
    raise ValueError(f'{name}={groups} does not divide the {channels} '
                     f'channels; the nearest that do: {near}')


def _check_geometry(kernel_size: int, stride: int, multiplier: int) -> None:
    check_positive(
        kernel_size=kernel_size, stride=stride, multiplier=multiplier)
    if kernel_size % 2 == 0:
        raise ValueError(
            f'kernel_size must be a positive odd number, got {kernel_size}')


def _init_conv(conv: nn.Conv2d, nonlinearity: str) -> None:
    # Fan-in counts the inputs of one group only, so the spread is right
    # whatever the groups.
    nn.init.kaiming_normal_(conv.weight, nonlinearity=nonlinearity)


def _warn_of_lost_inputs(channels: int, first: int, second: int) -> None:
    """Warn if an output does not see all inputs.

    The shuffle deals the groups of the first convolution out in turn, so the
    ``channels / second`` neighbours that a group of the second one reads come
    from ``min(first, channels / second)`` of them: from all of them if and
    only if ``first * second <= channels``.
    """
    if first * second > channels:
        seen = channels // second * (channels // first)
        warnings.warn(
            'DepthwiseSeparableGroupConv: groups_first * groups_second must '
            f'be at most in_channels={channels}, got {first} * {second} = '
            f'{first * second}; each output sees {seen} of the {channels} '
            'inputs', stacklevel=3)


class DepthwiseSeparableGroupConv(nn.Module):
    """DWSGConv layer (Section III-B.1, Fig. 3).

    ``k x k`` depthwise convolution and batch norm; first pointwise group
    convolution, batch norm and PReLU; channel shuffle; second pointwise group
    convolution, batch norm and ReLU. No convolution has a bias, and nothing
    but the batch norm follows the depthwise one.

    The paper asks for the complementary condition ``groups_first *
    groups_second == in_channels``, with which every output sees every input
    channel exactly once. It is not enforced: the paper's own detection model
    (32, 32 on 2048 channels) departs from it and is dense all the same, as
    every product up to ``in_channels`` is. A greater one disconnects outputs
    from inputs, with a warning.

    Args:
        in_channels (int): Channels of the input.
        groups_first (int): ``g1``, groups of the first pointwise convolution,
            and ``g2``, those of the channel shuffle after it.
        groups_second (int): ``g3``, groups of the second pointwise
            convolution.
        kernel_size (int): Kernel size of the depthwise convolution, odd.
        stride (int): Stride of the depthwise convolution.
        multiplier (int): Output channels over input channels.
        activation (str): ``'PReLU'`` (channel-wise, slopes 1 at the start) or
            ``'ReLU'``, after the first pointwise convolution.
        norm (Callable[[int], nn.Module]): Makes a norm from its channels.

    Raises:
        ValueError: If a group number does not divide the channels (the
            message names the nearest that do), or another argument is out of
            range.
    """

    def __init__(self,
                 in_channels: int,
                 groups_first: int,
                 groups_second: int,
                 kernel_size: int = 3,
                 stride: int = 1,
                 multiplier: int = 1,
                 activation: str = 'PReLU',
                 norm: Norm = nn.BatchNorm2d):
        super().__init__()
        _check_geometry(kernel_size, stride, multiplier)
        _check_divides('groups_first', groups_first, in_channels)
        _check_divides('groups_second', groups_second, in_channels)
        _warn_of_lost_inputs(in_channels, groups_first, groups_second)
        if activation not in ('PReLU', 'ReLU'):
            raise ValueError(
                f"activation must be 'PReLU' or 'ReLU', got {activation!r}")
        self.out_channels = multiplier * in_channels
        self.groups_first = groups_first
        self.depthwise = nn.Conv2d(
            in_channels,
            in_channels,
            kernel_size,
            stride,
            kernel_size // 2,
            groups=in_channels,
            bias=False)
        self.depthwise_norm = norm(in_channels)
        self.first = nn.Conv2d(
            in_channels, in_channels, 1, groups=groups_first, bias=False)
        self.first_norm = norm(in_channels)
        self.activation = nn.PReLU(in_channels) if activation == 'PReLU' \
            else nn.ReLU(inplace=True)
        self.second = nn.Conv2d(
            in_channels,
            self.out_channels,
            1,
            groups=groups_second,
            bias=False)
        self.second_norm = norm(self.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.init_weights()

    def init_weights(self) -> None:
        """Set slopes to 1 (Section IV-A.2); the paper names no other value."""
        _init_conv(self.depthwise, 'linear')
        _init_conv(self.first, 'linear')
        _init_conv(self.second, 'relu')
        for norm in (self.depthwise_norm, self.first_norm, self.second_norm):
            init_norm(norm)
        if isinstance(self.activation, nn.PReLU):
            nn.init.ones_(self.activation.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, multiplier * C, H / stride, W / stride)."""
        check_map(x, self.depthwise.in_channels)
        x = self.depthwise_norm(self.depthwise(x))
        x = self.activation(self.first_norm(self.first(x)))
        x = channel_shuffle(x, self.groups_first)
        return self.relu(self.second_norm(self.second(x)))


class RegularConv(nn.Module):
    """A dense 1x1 convolution, with which DWSGConv is compared.

    Table II, "Regular 1x1 conv": it takes the place of the whole layer, the
    depthwise convolution included. The paper's 4.19 M counts the convolution
    without its batch norm.

    Args:
        in_channels (int): Channels of the input.
        multiplier (int): Output channels over input channels.
        norm (Callable[[int], nn.Module]): Makes a norm from its channels.

    Raises:
        ValueError: If ``multiplier`` is below 1.
    """

    def __init__(self,
                 in_channels: int,
                 multiplier: int = 1,
                 norm: Norm = nn.BatchNorm2d):
        super().__init__()
        check_positive(in_channels=in_channels, multiplier=multiplier)
        self.out_channels = multiplier * in_channels
        self.conv = nn.Conv2d(in_channels, self.out_channels, 1, bias=False)
        self.norm = norm(self.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.init_weights()

    def init_weights(self) -> None:
        _init_conv(self.conv, 'relu')
        init_norm(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, multiplier * C, H, W)."""
        check_map(x, self.conv.in_channels)
        return self.relu(self.norm(self.conv(x)))


class FlatteningModule(nn.Module):
    """One or more DWSGConv layers and the rearrangement (Fig. 2).

    Args:
        in_channels (int): Channels of the coarse features.
        upscale (int): ``u``, side of the grid of fine positions that one
            coarse position of the *last layer's* output becomes.
        layers (Sequence[dict]): Arguments of each
            :class:`DepthwiseSeparableGroupConv` but ``in_channels``, in
            order; ``dict(regular=True)`` makes a :class:`RegularConv` instead
            and takes its arguments.
        rearrangement (str): Kind of :class:`Rearrangement`.
        seed (int): Seed of the random permutation; other kinds ignore it.
        norm (Callable[[int], nn.Module]): Makes each norm of the layers.

    Attributes:
        out_channels (int): Channels of the fine features, the last layer's
            divided by ``upscale ** 2``.

    Raises:
        ValueError: If there is no layer, or a number in a layer, or
            ``upscale``, does not fit the channels.
    """

    def __init__(self,
                 in_channels: int,
                 upscale: int,
                 layers: Sequence[dict],
                 rearrangement: str = 'channel_shuffle',
                 seed: int = 0,
                 norm: Norm = nn.BatchNorm2d):
        super().__init__()
        check_sequence(layers=layers)
        if not layers:
            raise ValueError('layers must have at least one layer, got none')
        self.in_channels = in_channels
        self.layers = nn.ModuleList()
        channels = in_channels
        for index, arguments in enumerate(layers):
            if not isinstance(arguments, dict):
                raise TypeError(f'layers[{index}] must be a dict, got '
                                f'{type(arguments).__name__}')
            arguments = dict(arguments)
            layer = RegularConv if arguments.pop('regular', False) \
                else DepthwiseSeparableGroupConv
            try:
                self.layers.append(
                    layer(channels, norm=norm, **arguments))
            except (TypeError, ValueError) as error:
                raise type(error)(f'layers[{index}]: {error}') from None
            channels = self.layers[-1].out_channels
        self.rearrangement = Rearrangement(channels, upscale, rearrangement,
                                           seed)
        self.out_channels = channels // upscale**2

    def init_weights(self) -> None:
        for layer in self.layers:
            layer.init_weights()

    def coarse(self, x: Tensor) -> Tensor:
        """Return the descriptors stacked along the channels.

        Args:
            x (Tensor): Coarse features, shape (N, in_channels, H, W).

        Returns:
            Tensor: Shape (N, u^2 * out_channels, H / s, W / s), where s is
            the product of the strides; channels position-major, so that
            :func:`~mmdense.modules.rearrangement.unfold` of it is what
            ``forward`` returns.
        """
        return self.rearrangement.position_major(self._convolve(x))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H u/s, W u/s)."""
        return self.rearrangement(self._convolve(x))

    def _convolve(self, x: Tensor) -> Tensor:
        check_map(x, self.in_channels)
        for layer in self.layers:
            x = layer(x)
        return x
