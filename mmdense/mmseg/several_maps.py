"""Checks of what a head on several of the backbone's maps is told."""
import math
from collections.abc import Sequence

from torch import Tensor

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


class CheckedInputs:
    """What a head gets has the channels that its config says.

    In front of one of mmseg's decode heads among the base classes. Without
    it, other channels end in the error of the convolution that meets them.
    """

    def _init_inputs(self, in_channels, in_index, input_transform) -> None:
        super()._init_inputs(in_channels, in_index, input_transform)
        several = input_transform is not None
        self._wanted = list(in_channels) if several else [in_channels]
        self._index = list(in_index) if several else [in_index]

    def _transform_inputs(self, inputs: Sequence[Tensor]):
        name = type(self).__name__
        given = [None if x is None else x.shape[1] for x in inputs]
        for index in self._index:
            if not -len(given) <= index < len(given):
                raise ValueError(
                    f'{name}: in_index must name maps of the backbone, which '
                    f'gives {len(given)} of {given} channels, got '
                    f'{self._index}')
        there = [given[index] for index in self._index]
        if there != self._wanted:
            raise ValueError(
                f'{name}: in_channels must be {there} for in_index='
                f'{self._index}, since the backbone gives maps of {given} '
                f'channels, got {self._wanted}')
        return super()._transform_inputs(inputs)
