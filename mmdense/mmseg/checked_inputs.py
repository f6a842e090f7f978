"""Check of the input maps of a decode head."""
from collections.abc import Sequence

from torch import Tensor

__all__ = ['CheckedInputs']


class CheckedInputs:
    """Mixin that checks that input maps have the channels of the config.

    Put it before a decode head of mmseg in the list of base classes. Without
    it, wrong channels fail later in a convolution.
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
