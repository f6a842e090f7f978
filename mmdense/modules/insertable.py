"""Modules that are left out of a network until a training inserts them."""
import torch
from torch import nn


class Insertable(nn.Module):
    """A module that ``forward`` skips while ``is_inserted`` is False.

    Whether it is inserted lies in a buffer, so that a checkpoint saved before
    the insertion is tested and resumed as the network it was. The forward
    asks a plain attribute: reading the buffer would wait for the GPU.

    The parameters are there from the start: optimizer and checkpoint look
    alike before and after, and an optimizer passes over parameters that have
    no gradient.
    """

    def __init__(self):
        super().__init__()
        self.is_inserted = True
        self.register_buffer('inserted', torch.tensor(1))

    def insert(self, inserted: bool = True) -> None:
        """Insert the module into the network, or take it out.

        Args:
            inserted (bool): False takes it out.

        Raises:
            TypeError: If it is not a bool.
        """
        if not isinstance(inserted, bool):
            raise TypeError(
                f'inserted must be a bool, got {type(inserted).__name__}')
        self.is_inserted = inserted
        self.inserted.fill_(int(inserted))

    def _load_from_state_dict(self, *args, **kwargs):
        super()._load_from_state_dict(*args, **kwargs)
        self.is_inserted = bool(self.inserted)
