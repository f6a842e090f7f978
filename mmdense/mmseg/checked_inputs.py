"""The check of the maps that a decode head of mmseg is given."""
from collections.abc import Sequence

from torch import Tensor

__all__ = ['CheckedInputs']


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
