"""Publishing a checkpoint: the weights and what is needed to use them."""
import hashlib
import io
from pathlib import Path

import torch

from mmdense.checkpoints.reading import read_checkpoint, weights_of
from mmdense.checkpoints.whole_files import WholeFileBackend

__all__ = ['publish']

# mmengine's inferencers build the network from `cfg`, and the hosts name
# classes and keypoints by `dataset_meta`.
META = ('cfg', 'dataset_meta', 'mmengine_version')


def publish(source: str | Path,
            out: str | Path,
            safetensors: bool = False) -> Path:
    """Write the weights of a checkpoint to a file named by its hash.

    The state of the optimizer, the schedules and the message hub is left out.
    If mmengine's ``EMAHook`` averaged the weights, only the averaged weights
    are written. The text of the config is included, with the paths in it.

    Args:
        source (str | Path): Checkpoint of a training.
        out (str | Path): Name of the file, with or without suffix: ``fcn.pth``
            becomes ``fcn-1a2b3c4d.pth``, with eight digits of the file's
            SHA-256, as OpenMMLab names its files.
        safetensors (bool): Write ``.safetensors``: tensors only, read without
            pickle. mmengine cannot read it.

    Returns:
        Path: The file written.

    Raises:
        ValueError: If the source cannot be read or holds no weights.
    """
    checkpoint = read_checkpoint(source)
    # Copies, because the entries of one file may share memory.
    weights = {
        name: value.clone(memory_format=torch.contiguous_format)
        for name, value in weights_of(checkpoint).items()
    }
    if not weights:
        raise ValueError(f'{source} holds no weights; its entries are '
                         f'{", ".join(map(str, checkpoint)) or "none"}')
    if safetensors:
        from safetensors.torch import save
        data = save(weights, metadata=dict(format='pt'))
    else:
        meta = checkpoint.get('meta') or {}
        buffer = io.BytesIO()
        torch.save(
            dict(
                meta={key: meta[key] for key in META if key in meta},
                state_dict=weights), buffer)
        data = buffer.getvalue()
    suffix = '.safetensors' if safetensors else '.pth'
    out = Path(out)
    stem = out.name.removesuffix('.pth').removesuffix(suffix)
    digits = hashlib.sha256(data).hexdigest()[:8]
    path = out.with_name(f'{stem}-{digits}{suffix}')
    WholeFileBackend().put(data, path)
    return path
