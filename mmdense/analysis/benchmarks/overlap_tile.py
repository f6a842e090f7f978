"""Cost of overlapping tiles, compared with the network on the same tiles."""
from collections.abc import Callable

import torch
from torch import nn

from mmdense import networks


def tiled_and_bare(
        model: nn.Module, size: tuple[int, int]
) -> tuple[Callable[[], object], Callable[[], object], int]:
    """Prepare the inference of an image by tiles, and the network alone.

    The first call mirrors, cuts, runs and joins as a test does; the second
    runs the network on the same tiles, cut beforehand.

    Args:
        model (nn.Module): An ``OverlapTileSegmentor``, in eval mode.
        size (tuple[int, int]): Height and width of the image in pixels.

    Returns:
        tuple[Callable, Callable, int]: Both calls, and the number of tiles.

    Raises:
        ValueError: If the model does not predict from tiles.
    """
    if 'tile' not in (getattr(model, 'test_cfg', None) or {}):
        raise ValueError('model must be a segmentor that tiles, with a tile '
                         f'in its test_cfg, got {type(model).__name__}')
    image = torch.randn(
        1,
        networks.input_channels(model),
        *size,
        generator=torch.Generator().manual_seed(0))
    tiles = []
    handle = model.backbone.register_forward_pre_hook(
        lambda module, inputs: tiles.append(inputs[0].clone()))

    @torch.inference_mode()
    def tiled():
        return model.inference(image, [])

    @torch.inference_mode()
    def bare():
        return [model(tile, mode='tensor') for tile in tiles]

    tiled()
    handle.remove()
    return tiled, bare, len(tiles)
