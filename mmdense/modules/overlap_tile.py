"""The overlap-tile strategy: a network of valid convolutions, tile by tile.

Source: O. Ronneberger, P. Fischer and T. Brox, *U-Net*, arXiv:1505.04597,
Fig. 2: missing context at the border of the image is mirrored.
"""
import math
from collections.abc import Callable

import torch
from torch import Tensor

from mmdense.arguments import (
    check_at_least,
    check_map,
    check_positive,
    check_size,
)


def mirrored_index(start: int, stop: int, size: int) -> Tensor:
    """Return the positions of a mirrored line from ``start`` to ``stop``.

    The line is mirrored at the centre of its end pixels, over and over:
    ``... 2 1 0 1 2 ... size-2 size-1 size-2 ...``.

    Returns:
        Tensor: Positions in 0 to ``size - 1``, int64, (stop - start,).

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If ``size`` is below 1, or ``stop`` below ``start``.
    """
    check_positive(size=size)
    check_at_least(-math.inf, start=start)
    check_at_least(start, stop=stop)
    if size == 1:
        return torch.zeros(stop - start, dtype=torch.int64)
    position = torch.arange(start, stop) % (2 * size - 2)
    return torch.minimum(position, 2 * size - 2 - position)


def tile_starts(size: int, output: int, alignment: int) -> list[int]:
    """Return the first output pixels of tiles that cover a line of ``size``.

    They lie on multiples of ``alignment``, the network's total stride: only
    then do poolings of neighbouring tiles meet the same pairs of pixels and
    give the same numbers where tiles overlap.

    Args:
        size (int): Pixels to cover.
        output (int): Output pixels of a tile; at least ``alignment`` if more
            than one tile is needed.
        alignment (int): Total stride of the network.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is below 1, or ``output`` is too small.
    """
    check_positive(size=size, output=output, alignment=alignment)
    if output >= size:
        return [0]
    check_at_least(alignment, output=output)
    step = output // alignment * alignment
    return list(range(0, size - (output - step), step))


def overlap_tile(network: Callable[[Tensor], Tensor], image: Tensor,
                 tile: tuple[int, int], context: int,
                 alignment: int) -> Tensor:
    """Run a network of valid convolutions over an image of any size.

    Every output pixel is what one run over the whole mirrored image would
    give, whatever the size of the tiles. A tile larger than the image is made
    smaller.

    Args:
        network (Callable): Takes (N, C, *tile) and gives (N, K, h, w), the
            tile less ``context`` pixels on each side.
        image (Tensor): (N, C, H, W).
        tile (tuple[int, int]): Height and width of the network's input in
            pixels.
        context (int): Pixels the network consumes at each border.
        alignment (int): The network's total stride.

    Returns:
        Tensor: (N, K, H, W).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a tile gives less than ``alignment`` pixels, or the
            network's output has another size.
    """
    if not callable(network):
        raise TypeError(
            f'network must be a function of a map, got {network!r}')
    check_map(image, None, 'image')
    check_size(tile, 'tile')
    check_at_least(0, context=context)
    check_positive(alignment=alignment)
    sizes = image.shape[2:]
    for side in tile:
        if side < 2 * context + alignment:
            raise ValueError(
                f'tile must have sides of at least {2 * context + alignment} '
                f'for a context of {context} and a stride of {alignment}, got '
                f'{side}')
    # What reaches beyond a small image is cut off by whole strides.
    tile = [
        side - max(0, side - 2 * context - size) // alignment * alignment
        for side, size in zip(tile, sizes, strict=True)
    ]
    outputs = [side - 2 * context for side in tile]
    starts = [
        tile_starts(size, output, alignment)
        for size, output in zip(sizes, outputs, strict=True)
    ]
    result = None
    for top in starts[0]:
        rows = mirrored_index(top - context, top - context + tile[0], sizes[0])
        band = image.index_select(2, rows.to(image.device))
        for left in starts[1]:
            columns = mirrored_index(left - context, left - context + tile[1],
                                     sizes[1])
            part = network(band.index_select(3, columns.to(image.device)))
            if list(part.shape[2:]) != outputs:
                raise ValueError(
                    f'network must give {outputs} for a tile of '
                    f'{list(tile)} and a context of {context}, got '
                    f'{list(part.shape[2:])}')
            if result is None:
                result = part.new_empty(*part.shape[:2], *sizes)
            # The last tiles reach beyond the image.
            seen = part[..., :sizes[0] - top, :sizes[1] - left]
            result[..., top:top + outputs[0],
                   left:left + outputs[1]] = seen
    return result
