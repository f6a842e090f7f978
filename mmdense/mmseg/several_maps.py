"""Checks of what a head on several of the backbone's maps is told."""
import math

from mmdense.arguments import check_at_least, check_positives, check_sequence


def check_maps(in_channels, in_index) -> None:
    """Refuse channels and indices that mmseg would, without a word.

    Args:
        in_channels (Sequence[int]): Of the maps.
        in_index (Sequence[int]): Which of the backbone's outputs they are.

    Raises:
        TypeError: If one is no list of integers.
        ValueError: If a channel number is below 1, there is no map, or not
            one index for each.
    """
    check_positives(in_channels=in_channels)
    check_sequence(in_index=in_index)
    for k, index in enumerate(in_index):
        check_at_least(-math.inf, **{f'in_index[{k}]': index})
    if not in_channels:
        raise ValueError('in_channels wants at least one map, got none')
    if len(in_index) != len(in_channels):
        raise ValueError(
            f'in_index wants {len(in_channels)} maps, one for each of '
            f'in_channels, got {len(in_index)}')
