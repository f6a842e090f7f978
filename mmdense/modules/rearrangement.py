"""Moving per-position descriptors between channels and the plane.

Source: X. Cai and Y.-F. Pu, *FlatteNet: A Simple Versatile Framework for
Dense Pixelwise Prediction*, arXiv:1909.09961, Section III-B.2 and Fig. 4.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdense.arguments import (
    check_at_least,
    check_axes,
    check_map,
    check_positive,
)

KINDS = ('channel_shuffle', 'pixel_shuffle', 'random_permutation')


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Deal the channels of each group out over all groups (ShuffleNet).

    ``out[:, j * groups + i]`` is ``x[:, i * (C / groups) + j]``.

    Args:
        x (Tensor): Feature map, shape (N, C, H, W).
        groups (int): Number of groups of neighbouring channels in ``x``.

    Returns:
        Tensor: Shuffled map, shape (N, C, H, W).

    Raises:
        ValueError: If ``groups`` does not divide C.
    """
    check_axes(x)
    check_positive(groups=groups)
    n, c, h, w = x.shape
    if c % groups:
        raise ValueError(
            f'channel_shuffle: groups must divide the {c} channels, '
            f'got {groups}')
    x = x.reshape(n, groups, c // groups, h, w)
    return x.transpose(1, 2).reshape(n, c, h, w)


def unfold(x: Tensor, upscale: int) -> Tensor:
    """Lay the descriptors of each grid out in the plane (``R`` in the paper).

    Channels are position-major: with ``C = x.shape[1] / upscale ** 2``,
    ``out[:, c, i * upscale + a, j * upscale + b]`` is
    ``x[:, (a * upscale + b) * C + c, i, j]``. This equals a channel shuffle
    with ``upscale ** 2`` groups followed by ``torch.pixel_shuffle``, in one
    copy instead of two.

    Args:
        x (Tensor): Coarse map, shape (N, upscale^2 * C, H, W).
        upscale (int): Side of the grid one coarse position stands for.

    Returns:
        Tensor: Fine map, shape (N, C, H * upscale, W * upscale).

    Raises:
        ValueError: If the channels do not split into ``upscale ** 2`` parts.
    """
    check_axes(x)
    check_positive(upscale=upscale)
    n, c, h, w = x.shape
    if c % upscale**2:
        raise ValueError(
            f'unfold: channels must be a multiple of {upscale ** 2} for '
            f'upscale {upscale}, got {c}')
    c //= upscale**2
    x = x.reshape(n, upscale, upscale, c, h, w)
    x = x.permute(0, 3, 4, 1, 5, 2)  # (N, C, H, u, W, u)
    return x.reshape(n, c, h * upscale, w * upscale)


def fold(y: Tensor, upscale: int) -> Tensor:
    """Stack each grid of the plane into channels: the inverse of ``unfold``.

    Args:
        y (Tensor): Fine map, shape (N, C, H * upscale, W * upscale), such as
            target heatmaps.
        upscale (int): Side of the grid one coarse position stands for.

    Returns:
        Tensor: Coarse map, shape (N, upscale^2 * C, H, W), channels
        position-major.

    Raises:
        ValueError: If height or width is not a multiple of ``upscale``.
    """
    check_axes(y, 'y')
    check_positive(upscale=upscale)
    n, c, h, w = y.shape
    if h % upscale or w % upscale:
        raise ValueError(
            f'fold: height and width must be divisible by upscale {upscale}, '
            f'got {h} x {w}')
    h, w = h // upscale, w // upscale
    y = y.reshape(n, c, h, upscale, w, upscale)
    y = y.permute(0, 3, 5, 1, 2, 4)  # (N, u, u, C, H, W)
    return y.reshape(n, upscale**2 * c, h, w)


class Rearrangement(nn.Module):
    """Channel-to-plane rearrangement in the three variants of Table II.

    * ``'channel_shuffle'`` (the paper's default): channel shuffle with
      ``upscale ** 2`` groups, then pixel shuffle, so that each descriptor is
      a run of neighbouring channels.
    * ``'pixel_shuffle'``: pixel shuffle alone.
    * ``'random_permutation'``: a fixed random order of the channels, then
      pixel shuffle. The order is a buffer of the state dict.

    Args:
        channels (int): Channels of the coarse map, ``upscale ** 2`` times
            those of the fine one.
        upscale (int): Side of the grid one coarse position stands for.
        kind (str): One of the three above.
        seed (int): Seed of the random order; the other kinds ignore it.

    Raises:
        ValueError: If ``kind`` is unknown, or the channels do not split into
            ``upscale ** 2`` parts.
    """

    def __init__(self,
                 channels: int,
                 upscale: int,
                 kind: str = 'channel_shuffle',
                 seed: int = 0):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f'kind of rearrangement must be one of {KINDS}, '
                             f'got {kind!r}')
        check_positive(channels=channels, upscale=upscale)
        if channels % upscale**2:
            works = [u for u in range(1, channels + 1)
                     if channels % u**2 == 0]
            raise ValueError(
                f'channels must be a multiple of {upscale ** 2} for '
                f'upscale={upscale}, got {channels}; upscales that work with '
                f'{channels}: {works}')
        self.channels = channels
        self.upscale = upscale
        self.kind = kind
        if kind == 'random_permutation':
            check_at_least(0, seed=seed)
            if seed >= 2**63:
                raise ValueError(f'seed must be less than 2^63, got {seed}')
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(channels, generator=generator, device='cpu')
            # Through a list: `torch.device('meta')` would refuse the generator
            # if the permutation were drawn there.
            self.register_buffer('permutation', torch.tensor(order.tolist()))

    def position_major(self, x: Tensor) -> Tensor:
        """Order the channels so that ``unfold`` finishes the rearrangement.

        Args:
            x (Tensor): Coarse map, shape (N, channels, H, W).

        Returns:
            Tensor: The same numbers and shape, channels position-major.
        """
        check_map(x, self.channels)
        if self.kind == 'channel_shuffle':
            return x
        if self.kind == 'random_permutation':
            x = x[:, self.permutation]
        return channel_shuffle(x, self.channels // self.upscale**2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, channels / u^2, H * u, W * u)."""
        check_map(x, self.channels)
        if self.kind == 'channel_shuffle':
            return unfold(x, self.upscale)
        if self.kind == 'random_permutation':
            x = x[:, self.permutation]
        return F.pixel_shuffle(x, self.upscale)

    def extra_repr(self) -> str:
        return f'{self.channels}, upscale={self.upscale}, kind={self.kind!r}'
